"""Beside sentry-sdk: our access line is no event, and its events have no secrets.

sentry-sdk's logging integration sees each LogRecord by itself, so that our formatter hides nothing there.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from obs_middleware.redaction import REDACTED, Redactor
from obs_middleware.settings import Settings

_PARTS = ("logentry", "message", "exception", "extra", "breadcrumbs", "request", "spans", "tags")
_ACCESS_LOGGER = "obs.access"


class SentryScrubber:
    """Hide secrets in an event of sentry-sdk: `sentry_sdk.init(before_send=SentryScrubber())`.

    `before_send_transaction` takes it too. Where sentry-sdk is there when logging is set up, it is in place already.

    Args:
        settings: `Settings.load()` unless given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or Settings.load()
        self._redactor = Redactor.of(settings)

    def __call__(self, event: Any, hint: Any = None) -> Any:
        """Return the event without secrets; one that can't be read goes without what can't be read."""
        for part in _PARTS:
            if part in event:
                try:
                    event[part] = self._clean(event[part])
                except Exception:
                    del event[part]
        return event

    def _clean(self, value: Any, key: str = "") -> Any:
        if value is not None and key and self._redactor.is_secret_key(key):
            return REDACTED
        if isinstance(value, str):
            return self._redactor.text(value)
        if isinstance(value, dict):
            cleaned = {name: self._clean(inner, str(name)) for name, inner in value.items()}
            if "params" in value and self._is_secret_when_formatted(value):
                del cleaned["params"]  # one of them is the secret, with no name beside it
            return cleaned
        if isinstance(value, (list, tuple)):
            return [self._clean(inner) for inner in value]
        return value

    def _is_secret_when_formatted(self, entry: dict[str, Any]) -> bool:
        """Tell whether the text of a logged message has a secret; older releases hand it over unformatted."""
        text = entry.get("formatted")
        if text is None:
            try:
                text = entry["message"] % tuple(entry["params"])
            except Exception:
                return True
        return bool(self._redactor.text(text) != text)


def agree_with_sentry(settings: Settings) -> None:
    """Make our access line no event of sentry-sdk's, and its events free of secrets, if sentry-sdk is there."""
    sdk = sys.modules.get("sentry_sdk")
    logging_integration = sys.modules.get("sentry_sdk.integrations.logging")
    if sdk is None or logging_integration is None:
        return
    with suppress(AttributeError):  # before 2.0
        logging_integration.ignore_logger(_ACCESS_LOGGER)
        sdk.Scope.get_global_scope().add_event_processor(SentryScrubber(settings))
