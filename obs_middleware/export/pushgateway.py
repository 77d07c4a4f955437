"""Pushgateway: push the metrics to Prometheus' Pushgateway, by prometheus-client's own client of it.

A push takes the place of the whole group, so that a series which is gone is gone there too. The push of a batch job
adds to the group, so that a run that fails leaves standing when the job went well last.
https://github.com/prometheus/pushgateway#api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import (
    basic_auth_handler,
    default_handler,
    push_to_gateway,
    pushadd_to_gateway,
)

from obs_middleware.errors import ConfigError
from obs_middleware.export import checks

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected

_EXAMPLE = "http://localhost:9091"
_EXPLANATION = 300  # characters of an answer that says what is wrong


class Pushgateway:
    """Push the metrics, every now and then.

    Args:
        url: such as `http://localhost:9091`.
        job: the label `job` of the group; unless given, the service, or the name of the batch job.
        grouping: further labels of the group.
        interval_seconds: between two pushes.
        timeout_seconds: how long a push may take.
        basic_auth: user and password.

    Raises:
        ConfigError: the URL, a label or another argument is none.
    """

    name = "pushgateway"

    def __init__(
        self,
        url: str,
        *,
        job: str | None = None,
        grouping: Mapping[str, str] | None = None,
        interval_seconds: float = 15.0,
        timeout_seconds: float = 5.0,
        basic_auth: tuple[str, str] | None = None,
    ) -> None:
        whole = f"http://{url}" if isinstance(url, str) and url and "://" not in url else url
        self._url = checks.url("Pushgateway", whole, example=_EXAMPLE)
        if "@" in urlsplit(self._url).netloc:
            raise ConfigError(
                f"Pushgateway wants a URL such as {_EXAMPLE!r}, with user and password in basic_auth="
            )
        self._job = job if job is None else checks.text("Pushgateway: job", job)
        self._grouping = checks.labels("Pushgateway: grouping", grouping or {})
        if "job" in self._grouping:
            raise ConfigError(
                f"Pushgateway: grouping has 'job', which has a place of its own: job={self._grouping['job']!r}"
            )
        self.interval_seconds = interval_seconds
        self._timeout_seconds = checks.seconds("Pushgateway: timeout_seconds", timeout_seconds)
        self._handler = default_handler
        if basic_auth is not None:
            user, password = checks.pair("Pushgateway: basic_auth", basic_auth)
            self._handler = partial(basic_auth_handler, username=user, password=password)

    def export(self, collected: Collected) -> None:
        """Push.

        Raises:
            OSError: the gateway is not there, or does not take the metrics.
        """
        push = push_to_gateway if collected.job is None else pushadd_to_gateway
        # A copy in another group would grow old, where alerts look for the age of each series.
        text = collected.text(only_job=collected.job if self._job is None else None)
        try:
            push(
                self._url,
                job=self._job or collected.job or collected.labels["service"],
                registry=CollectorRegistry(),
                grouping_key=self._grouping,
                timeout=self._timeout_seconds,
                handler=partial(self._send, text),
            )
        except HTTPError as error:
            with error:
                why = error.read(_EXPLANATION).decode("utf-8", "replace").strip()
            raise OSError(f"the gateway answers {error.code} {error.reason}: {why}") from None

    def _send(self, text: bytes, **request: Any) -> Callable[[], None]:
        """Send our own text, which was made with pauses, in place of that of the registry."""
        return self._handler(**{**request, "data": text})
