"""Events of the app: `observer.events.record("node_joined", labels={"zone": "a"}, metadata={"node": 7})`.

Each is kept among the last ones, counted, logged, and put on the current span; where one of these fails, the others
are done. Counted is its name alone, because labels and metadata may have any value. Secrets are hidden first.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from time import time
from typing import Any

import msgspec
from opentelemetry import trace

from obs_middleware.first_names import FirstNames
from obs_middleware.fork_lock import ForkLock

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
        redacted_name: returns a name without secrets, fit for UTF-8.
        count: is called with the name of each event.
        count_overflow: is called for each event that is counted as `other`.
        guard: calls a function with arguments, and reports what it raises.
    """

    def __init__(
        self,
        kept: int,
        *,
        redacted: Callable[[Mapping[str, Any]], dict[str, Any]],
        redacted_name: Callable[[str], str],
        count: Callable[[str], None],
        count_overflow: Callable[[], None],
        guard: Callable[..., Any],
    ) -> None:
        self._kept: deque[Event] = deque(maxlen=kept)
        self._redacted = redacted
        self._redacted_name = redacted_name
        self._count = count
        self._count_overflow = count_overflow
        self._guard = guard
        self._names = FirstNames(_NAMES)
        self._keeping = ForkLock()
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
        event = self._guard("events", self._event, name, value, labels, metadata)
        if event is not None:
            for step in (self._keep, self._count_by_name, tell, _add_to_span):
                self._guard("events", step, event)

    def _event(
        self,
        name: object,
        value: Any,
        labels: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
    ) -> Event:
        redacted = self._redacted
        if value is not None and not isinstance(value, (int, float)):
            value = redacted({"value": value})["value"]
        shown = [{} if fields is None else redacted(fields) for fields in (labels, metadata)]
        return Event(self._redacted_name(str(name)), time(), value, *shown)

    def _keep(self, event: Event) -> None:
        with self._keeping:
            self.count += 1
            self._kept.append(event)

    def _count_by_name(self, event: Event) -> None:
        is_told_apart = self._names.has(event.name)
        if not is_told_apart:
            self._count_overflow()
        self._count(event.name if is_told_apart else _OTHER)

    def recent(self, count: int | None = None) -> list[Event]:
        """Return the last events, the newest last; all that are kept, or so many."""
        with self._keeping:
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
