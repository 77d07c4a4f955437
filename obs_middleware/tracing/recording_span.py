"""The server span that records: a span of OpenTelemetry's API with no more in it than a request needs.

It keeps the IDs, the name, the start and what the app adds. The attributes that the request tells are made when the
span is exported, or when somebody reads it. What is kept, and what is refused, follows the specification as the SDK
does (https://opentelemetry.io/docs/specs/otel/trace/api/#span, https://opentelemetry.io/docs/specs/otel/trace/sdk/).
Imported with the SDK only.
"""

from __future__ import annotations

import logging
import traceback
from threading import RLock
from time import time_ns
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from obs_middleware.exchange import error_name
from obs_middleware.tracing.attributes import SpanFacts, at_start
from obs_middleware.tracing.packed_span import NO_EVENTS, PackedSpan, pack, pack_events

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import TraceFlags, TraceState
    from opentelemetry.util.types import Attributes

    from obs_middleware.redaction import Redactor
    from obs_middleware.request import RequestInfo

OUR_ATTRIBUTES = 32  # more than we ever set

_UNSET, _SERVER = Status(), SpanKind.SERVER
_UNSET_CODE = StatusCode.UNSET
_logger = logging.getLogger("opentelemetry.sdk.trace")  # whoever silences the SDK's warnings silences ours


class Tracer(Protocol):
    """What a span asks of its tracer, which `recording_tracer.py` has.

    Attributes:
        limits: of what a span keeps.
        has_room: whether all attributes of ours fit in, whole.
    """

    provider: TracerProvider
    scope: InstrumentationScope | None
    limits: SpanLimits
    has_room: bool

    def export(self, span: RecordingSpan) -> None:
        """Hand a span that has ended to whoever wants it."""


class RecordingSpan(Span, ReadableSpan):
    """A server span, as `RecordingTracer` starts it.

    Whoever reads it as a ReadableSpan gets what `readable()` has at that moment.

    Args:
        request: the method, the request and the redactor, of which the first attributes are made.
    """

    __slots__ = (
        "_end_time",
        "_facts",
        "_flags",
        "_ids",
        "_name",
        "_parent",
        "_request",
        "_start_time",
        "_state",
        "_tracer",
    )
    # What few spans have is in the instance's dictionary.
    _added_attributes: BoundedAttributes | None = None  # those of the start are among them
    _added_events: BoundedList[Event] | None = None
    _added_links: BoundedList[Link] | None = None
    _status = _UNSET
    _span_context: SpanContext | None = None
    _write_lock: RLock | None = None  # reentrant: a finalizer may end the span that its thread is writing to

    def __init__(
        self,
        tracer: Tracer,
        ids: str,
        flags: TraceFlags,
        state: TraceState | None,
        parent: SpanContext | None,
        name: str,
        start_time: int,
        request: tuple[str, RequestInfo, Redactor],
    ) -> None:
        self._tracer = tracer
        self._ids = ids
        self._flags = flags
        self._state = state
        self._parent = parent
        self._name = name
        self._start_time = start_time
        self._request = request
        self._end_time: int | None = None
        self._facts: SpanFacts | None = (
            None  # of the exchange that has ended, until attributes are made of them
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name="{self._name}", context={self.get_span_context()})'

    def get_span_context(self) -> SpanContext:
        """Return the span's IDs, flags and trace state; the same object each time."""
        context = self._span_context
        if context is None:
            ids = self._ids
            context = SpanContext(int(ids[:32], 16), int(ids[32:], 16), False, self._flags, self._state)
            context = vars(self).setdefault("_span_context", context)  # one for all threads
        return context

    def is_recording(self) -> bool:
        """Tell whether the span has not ended."""
        return self._end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute; what has the same key is replaced."""
        with self._lock():
            if self._end_time is None:
                self._attributes_to_write()[key] = value
                return
        _logger.warning("Setting attribute on ended span.")

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; what has the same key is replaced."""
        with self._lock():
            if self._end_time is None:
                present = self._attributes_to_write()
                # The constructor cleans keys too, which setting a single one does not do in every release.
                cleaned = self._cleaned(attributes, 0 if present.maxlen == 0 else None)
                present.dropped += cleaned.dropped
                for key, value in cleaned.items():
                    present[key] = value
                return
        _logger.warning("Setting attribute on ended span.")

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event; of more than OTEL_SPAN_EVENT_COUNT_LIMIT the last ones are kept."""
        limits = self._tracer.limits
        kept = BoundedAttributes(
            limits.max_event_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        event = Event(name, kept, timestamp)
        with self._lock():
            if self._end_time is None:
                if self._added_events is None:
                    self._added_events = BoundedList(limits.max_events)
                self._added_events.append(event)
                return
        _warn_of_end("_add_event")

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link; one that points nowhere and says nothing is left out."""
        if not context or not (context.is_valid or attributes or context.trace_state):
            return
        limits = self._tracer.limits
        kept = BoundedAttributes(
            limits.max_link_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        with self._lock():
            if self._end_time is None:
                if self._added_links is None:
                    self._added_links = BoundedList(limits.max_links)
                self._added_links.append(Link(context, kept))
                return
        _warn_of_end("_add_link")

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add the event of an exception, with its type, message and stack."""
        stack = traceback.format_exception(type(exception), exception, exception.__traceback__)
        described: dict[str, Any] = {
            "exception.type": error_name(exception),
            "exception.message": str(exception),
            "exception.stacktrace": "".join(stack),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**described, **(attributes or {})}, timestamp)

    def update_name(self, name: str) -> None:
        """Change the name, until the exchange ends and gives the span the one of the conventions."""
        with self._lock():
            if self._end_time is None:
                self._name = name
                return
        _warn_of_end("update_name")

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; OK is final, and UNSET changes nothing."""
        with self._lock():
            if self._end_time is None:
                self._set_status(status, description)
                return
        _warn_of_end("set_status")

    def end(self, end_time: int | None = None) -> None:
        """End the span before its exchange, and export it."""
        with self._lock():
            is_first = self._end_time is None
            if is_first:
                self._end_time = time_ns() if end_time is None else end_time
        if is_first:
            self._tracer.export(self)
        else:
            _logger.warning("Calling end() on an ended span.")

    def end_exchange(self, name: str, facts: SpanFacts, end_time: int) -> None:
        """End the span with its exchange, and export it; do nothing where the app has ended it."""
        if self._write_lock is None:  # nobody has written to it
            is_first = self._end_time is None
            if is_first:
                self._name, self._facts, self._end_time = name, facts, end_time
        else:
            with self._write_lock:
                is_first = self._end_time is None
                if is_first:
                    self._name, self._facts, self._end_time = name, facts, end_time
        if is_first:
            self._tracer.export(self)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """End the span, with the exception that has left the block."""
        if exc_val is not None and self.is_recording():
            self.record_exception(exc_val, escaped=True)
            self.set_status(Status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}"))
        self.end()

    def packed(self) -> PackedSpan | None:
        """Return what is to be exported; None where a packed span can't hold it."""
        facts, tracer = self._facts, self._tracer
        if facts is None or not tracer.has_room:
            return None
        attributes, events = b"", NO_EVENTS
        code, description = _UNSET_CODE, None
        if self._write_lock is not None:
            code, description = self._status.status_code, self._status.description
            try:
                attributes, events = self._pack()
            except Exception:  # as in packed_span.py
                return None
        parent_id, is_parent_remote, parent_flags = 0, False, None
        parent = self._parent
        if parent is not None:
            parent_id, is_parent_remote, parent_flags = parent.span_id, parent.is_remote, parent.trace_flags
        return PackedSpan(
            self._name,
            _SERVER,
            self._ids,
            self._flags,
            self._state or None,
            parent_id,
            is_parent_remote,
            parent_flags,
            self._start_time,
            self._end_time,
            code,
            description,
            attributes,
            facts,
            events,
            tracer.provider.resource,
            tracer.scope,
        )

    def readable(self) -> ReadableSpan:
        """Return the span as processors, exporters and whoever reads it see it."""
        with self._lock():
            return ReadableSpan(
                name=self._name,
                context=self.get_span_context(),
                parent=self._parent,
                resource=self._tracer.provider.resource,
                attributes=self._attributes_to_read(),
                events=() if self._added_events is None else self._added_events,
                links=() if self._added_links is None else self._added_links,
                kind=SpanKind.SERVER,
                status=self._status,
                start_time=self._start_time,
                end_time=self._end_time,
                instrumentation_scope=self._tracer.scope,
            )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return what a ReadableSpan has, in whatever way the SDK's release keeps it."""
            if name.startswith("__") or name in self.__slots__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(self.readable(), name)

    def _lock(self) -> RLock:
        """Return the lock of those who write, one for all threads."""
        return self._write_lock or vars(self).setdefault("_write_lock", RLock())

    def _attributes_to_write(self) -> BoundedAttributes:
        """Return the attributes of the start and those of the app."""
        attributes = self._added_attributes
        if attributes is None:
            attributes = self._added_attributes = self._bounded(at_start(*self._request))
        return attributes

    def _attributes_to_read(self) -> BoundedAttributes:
        """Return all attributes; those of an exchange that has ended are made now."""
        attributes, facts = self._attributes_to_write(), self._facts
        if facts is not None:
            self._facts = None
            for key, value in facts.at_end().items():
                attributes[key] = value
        return attributes

    def _pack(self) -> tuple[bytes, bytes]:
        """Return the attributes and the events packed.

        Raises:
            Exception: they can't be, or something was dropped or may be when ours are added.
        """
        if self._added_links is not None:
            raise ValueError("a packed span has no links")
        attributes, present = b"", self._added_attributes
        if present is not None:
            maximum = present.maxlen
            if present.dropped or (maximum is not None and len(present) + OUR_ATTRIBUTES > maximum):
                raise ValueError("the count of what is dropped would be lost")
            attributes = pack(present.copy())
        return attributes, pack_events(() if self._added_events is None else self._added_events)

    def _bounded(self, attributes: Mapping[str, Any]) -> BoundedAttributes:
        limits = self._tracer.limits
        return BoundedAttributes(
            limits.max_span_attributes,
            attributes,
            immutable=False,
            max_value_len=limits.max_span_attribute_length,
        )

    def _cleaned(self, attributes: Mapping[str, Any], maximum: int | None) -> BoundedAttributes:
        return BoundedAttributes(
            maximum, attributes, max_value_len=self._tracer.limits.max_span_attribute_length
        )

    def _set_status(self, status: Status | StatusCode, description: str | None) -> None:
        if isinstance(status, Status):
            changed = status
        elif isinstance(status, StatusCode):
            changed, description = Status(status, description), None
        else:
            return
        if self._status.status_code is StatusCode.OK or changed.status_code is StatusCode.UNSET:
            return
        if description is not None:
            _logger.warning(
                "Description %s ignored. Use either `Status` or `(StatusCode, Description)`", description
            )
        self._status = changed


def _warn_of_end(method: str) -> None:
    _logger.warning("Tried calling %s on an ended span.", method)
