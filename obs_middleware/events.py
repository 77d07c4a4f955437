"""Events of the app: `observer.events.record("node_joined", labels={"zone": "a"}, metadata={"node": 7})`.

Each is counted, kept among the last ones, logged, and put on the current span. Counted is its name alone, because
labels and metadata may have any value. Secrets are hidden before anything is kept.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry import trace

from obs_middleware.encodable import encodable
from obs_middleware.fork_lock import ForkLock

if TYPE_CHECKING:
    from obs_middleware.errors import Report

_NAMES = 500  # that are counted, each by itself; further ones are counted as `other`
_OTHER = "other"
_logger = logging.getLogger("obs.events")


class Event(msgspec.Struct, frozen=True):
    """What has happened.

    Attributes:
        name: of a kind of events, such as `node_joined`.
        timestamp: seconds since 1970.
        value: how much or how many, if that says something.
        labels: what the event belongs to.
        metadata: what else is known of it.
    """

    name: str
    timestamp: float
    value: float | None
    labels: dict[str, Any]
    metadata: dict[str, Any]


class Events:
    """What a user has of events: `observer.events`.

    Args:
        kept: how many are kept.
        redacted: returns labels or metadata without secrets, as values of JSON.
        count: is called with the name of each event.
        report: is told of a failure of ours.
    """

    def __init__(
        self,
        kept: int,
        *,
        redacted: Callable[[Mapping[str, Any]], dict[str, Any]],
        count: Callable[[str], None],
        report: Report,
    ) -> None:
        self._kept: deque[Event] = deque(maxlen=kept)
        self._redacted = redacted
        self._count = count
        self._report = report
        self._names: set[str] = set()
        self._counting = ForkLock()
        self.count = 0

    def record(
        self,
        name: str,
        value: float | None = None,
        *,
        labels: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an event; it never raises.

        Args:
            name: of a kind of events; one of few, because each is counted by itself.
            value: how much or how many.
            labels: what the event belongs to.
            metadata: what else is known of it.
        """
        self._record(name, value, labels, metadata, tell=_log)

    def record_silently(self, name: str, labels: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Record an event of ours that has a log line already."""
        self._record(name, None, labels, metadata, tell=bool)

    def _record(
        self,
        name: str,
        value: float | None,
        labels: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        *,
        tell: Callable[[Event], object],
    ) -> None:
        try:
            if value is not None and not isinstance(value, (int, float)):
                value = self._redacted({"value": value})["value"]
            event = Event(
                encodable(str(name)),
                time(),
                value,
                self._redacted(labels or {}),
                self._redacted(metadata or {}),
            )
            with self._counting:
                self.count += 1
                self._kept.append(event)
                if len(self._names) < _NAMES:
                    self._names.add(event.name)
                counted = event.name if event.name in self._names else _OTHER
            self._count(counted)
            tell(event)
            _add_to_span(event)
        except Exception as error:
            self._report("events", error)

    def recent(self, count: int | None = None) -> list[Event]:
        """Return the last events, the newest last; all that are kept, or so many."""
        with self._counting:
            events = list(self._kept)
        return events if count is None else events[max(0, len(events) - count) :]


def _log(event: Event) -> None:
    fields = {"value": event.value, "labels": event.labels, "metadata": event.metadata}
    _logger.info(
        event.name,
        extra={f"event_{name}": field for name, field in fields.items() if field not in (None, {})},
    )


def _add_to_span(event: Event) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        fields = {"value": event.value} | event.labels | event.metadata
        span.add_event(
            event.name, {name: _attribute(field) for name, field in fields.items() if field is not None}
        )


def _attribute(field: Any) -> Any:
    return msgspec.json.encode(field).decode() if isinstance(field, (dict, list)) else field
