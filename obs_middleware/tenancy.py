"""Whose request it is: a tenant, a store, an organisation, as a header, baggage or a function of the user's says.

Lines and spans have the name as it came. Metrics have it as a label, whose values are bounded: those of a list, or the
first so many, and `other` for the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import baggage

from obs_middleware.errors import ConfigError
from obs_middleware.fork_lock import ForkLock
from obs_middleware.label_names import TAKEN_LABELS, may_be_added

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange
    from obs_middleware.settings import Settings

OTHER = "other"
_CHARACTERS = 128


class Tenancy:
    """Name the tenant of an exchange, and the label of its metrics.

    Args:
        redact: returns a text without secrets.

    Raises:
        ConfigError: `tenant_label` is no name for a label of the user's.
    """

    def __init__(self, settings: Settings, redact: Callable[[str], str]) -> None:
        self._header = None if settings.tenant_header is None else settings.tenant_header.lower()
        self._baggage = settings.tenant_baggage
        self._callback = settings.tenant_callback
        self._label = settings.tenant_label
        self._allowed = frozenset(settings.tenants)
        self._room = settings.tenant_max
        self._redact = redact
        self._values: dict[str, str] = {}  # of the label, by tenant
        self._adding = ForkLock()
        check_label(self._label, "tenant_label")

    @property
    def looks_at_requests(self) -> bool:
        """Tell whether the settings say how a request names its tenant; else the app alone does (`set_tenant`)."""
        return any((self._header, self._baggage, self._callback))

    def note(self, exchange: Exchange) -> None:
        """Note the tenant that a request names, if it names one."""
        tenant = self._tenant_of(exchange)
        if tenant:
            exchange.set_tenant(str(tenant)[:_CHARACTERS])

    def labels(self, tenant: str | None) -> dict[str, str]:
        """Return the label of a tenant's metrics; none where it is not known whose they are."""
        if tenant is None:
            return {}
        value = self._values.get(tenant)
        return {self._label: self._new_value(tenant) if value is None else value}

    def _tenant_of(self, exchange: Exchange) -> object:
        info, tenant = exchange.info, None
        if self._callback is not None:
            tenant = self._callback(info)
            if inspect.iscoroutine(tenant):  # of what is async and does not look it
                tenant.close()
                raise TypeError("tenant_callback must return a text, got a coroutine: it can't be async")
        if not tenant and self._header is not None:
            tenant = info.header(self._header)
        if not tenant and self._baggage is not None and exchange.context is not None:
            value = baggage.get_baggage(self._baggage, exchange.context)
            tenant = str(value or "").partition(";")[0]  # without its properties
        return tenant

    def _new_value(self, tenant: str) -> str:
        if self._allowed:
            return tenant if tenant in self._allowed else OTHER
        with self._adding:
            if len(self._values) >= self._room:
                return self._values.get(tenant, OTHER)
            return self._values.setdefault(tenant, self._redact(tenant))


def check_label(name: str, setting: str) -> None:
    """Raise unless a label of the user's may have this name.

    Raises:
        ConfigError: it is no label's name, or one that the metrics have already.
    """
    if not may_be_added(name):
        raise ConfigError(
            f"{setting} must be a label's name: letters, digits and _, no __ at its begin, and none of "
            f"{', '.join(TAKEN_LABELS)}, which the metrics have already; got {name!r}"
        )
