"""Server spans that go straight into the exporter's queue, without the two spans that the SDK makes of one.

Only for a provider that we have set up, whose one processor is ours: nobody else sees spans start and end then. What
is known of the SDK is checked when the tracer is made, what may change with each span; if anything is not as it should
be, or the app has added something to a span, the SDK's own way is taken. Imported with the SDK only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from obs_middleware.tracing.packed_span import PackedBatchProcessor, PackedSpan, pack, pack_events
from obs_middleware.tracing.span import MADE_LATE, ServerSpan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from obs_middleware.exchange import Exchange
    from obs_middleware.redaction import Redactor
    from obs_middleware.tracing.attributes import SpanFacts

_SUPPRESSED = getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_SAMPLED, _RANDOM = TraceFlags.SAMPLED, 0x02  # trace-context-2, section 3.2.2.5.2
_ATTRIBUTES = 32  # ours are 17 at most
_NO_EVENTS = pack([])

# What a span of the SDK consists of: what each has of its own, and what all those of a tracer share.
_OWN = MADE_LATE - {"_known"} | {"_end_time", "_name", "_parent", "_resource", "_start_time"}
_SHARED = {
    "_instrumentation_info",
    "_instrumentation_scope",
    "_kind",
    "_limits",
    "_record_exception",
    "_sampler",
    "_set_status_on_exception",
    "_span_processor",
    "_status",
    "_trace_config",
}
_SHARED_BY_SOME = {"_record_end_metrics"}

_new = object.__new__


class NotAsKnownError(Exception):
    """The provider, or the SDK, is not one whose spans can be made here."""


class DirectTracer:
    """Start and end the server spans of a provider.

    Args:
        batches: the provider's only span processor.
        scope: the instrumentation scope's name.
        schema: its URL.

    Raises:
        NotAsKnownError: the SDK has to make the spans.
    """

    def __init__(
        self, provider: sdk.TracerProvider, batches: PackedBatchProcessor, *, scope: str, schema: str
    ) -> None:
        tracer: Any = provider.get_tracer(scope, schema_url=schema)
        _expect(type(tracer) is sdk.Tracer, "tracer")
        parent = SpanContext(1, 1, True, TraceFlags(_SAMPLED | _RANDOM))
        specimen: Any = tracer.start_span(
            scope, set_span_in_context(NonRecordingSpan(parent)), SpanKind.SERVER
        )
        _expect(type(specimen) is sdk._Span, "span")
        self._tracer, self._put = tracer, batches.put
        self._alone = tracer.span_processor._span_processors
        _expect(self._alone == (batches,), "span processors")
        self._is_enabled = getattr(tracer, "_is_enabled", _yes)
        _expect(callable(self._is_enabled), "switch of the tracer")
        self._random = specimen.context.trace_flags & _RANDOM  # 0 where the SDK does not know that flag
        self._flags = {random: TraceFlags(_SAMPLED | random) for random in (0, _RANDOM)}
        # What all spans share is the class's: a span's own dictionary is small.
        shared = {
            "__module__": __name__,
            **_shared(specimen),
            "_flags": self._flags[self._random],
            "_state": None,
        }
        self._class: type[ServerSpan] = type("ServerSpan", (ServerSpan,), shared)
        self._blank = self._packed_blank()

    def _packed_blank(self) -> PackedSpan:
        """Return a span that begins a trace, with nothing that is its own: what the compiled way begins with."""
        span = _new(self._class)
        own: Any = span.__dict__
        own.update(_ids="", _name="", _start_time=0, _resource=None)
        return _packed(span, b"", _NO_EVENTS)

    def start(
        self, exchange: Exchange, parent: SpanContext, context: Context, redactor: Redactor
    ) -> ServerSpan | None:
        """Start the span of an exchange whose trace is sampled; None where the SDK has to do it.

        Args:
            parent: the span that is current in the context, not valid where there is none.
        """
        if not self._is_alone() or _SUPPRESSED in context or not self._is_enabled():
            return None
        span = _new(self._class)
        own: Any = span.__dict__
        own["_ids"], own["_name"], own["_start_time"] = exchange.ids, exchange.method, exchange.started_ns
        own["_began"], own["_resource"] = (exchange.method, exchange.info, redactor), self._tracer.resource
        if parent is not INVALID_SPAN_CONTEXT and parent.is_valid:
            own["_parent"], own["_state"] = parent, parent.trace_state
            own["_flags"] = self._flags[self._random & parent.trace_flags]
        return span

    def end(self, span: Span, name: str, told: SpanFacts, end_time: int) -> bool:
        """End a span with a name and what is told of it; False, and nothing done, where the SDK has to."""
        if not isinstance(span, self._class) or not self._is_alone():
            return False
        own: Any = span.__dict__
        if (
            "_lock" not in own and "_attributes" not in own
        ):  # nobody has done or read anything: the usual case
            own["_name"], own["_end_time"], own["_told"] = name, end_time, told
            self._put(_packed(span, told, _NO_EVENTS))  # its attributes are made when it is exported
            return True
        with span._lock:
            if "_end_time" in own or "_links" in own:
                return False
            known = _with(own, span._known, told.attributes())
            if known is None:
                return False
            own["_name"], own["_end_time"], own["_known"] = name, end_time, known
            own.pop("_attributes", None)  # it is made of all that is known when somebody asks again
        try:
            packed = _packed(
                span, pack(known), pack_events(own["_events"]) if "_events" in own else _NO_EVENTS
            )
        except Exception:  # as in batch.py
            self._tracer.span_processor.on_end(span._readable_span())
        else:
            self._put(packed)
        return True

    def _is_alone(self) -> bool:
        """Tell whether there is still no span processor but ours; the SDK makes a new tuple for each that is added."""
        return self._tracer.span_processor._span_processors is self._alone


def _with(
    own: dict[str, Any], known: Mapping[str, Any], ours: Mapping[str, str | int]
) -> dict[str, Any] | None:
    """Return a span's attributes with ours last, as the SDK would; None where it would have dropped some."""
    theirs = own.get("_attributes")
    if theirs is None:
        return {**known, **ours}
    limit = theirs.maxlen
    if theirs.dropped or (limit is not None and len(theirs) + len(ours) > limit):
        return None
    together: dict[str, Any] = theirs.copy()
    for name in ours:
        together.pop(name, None)
    together.update(ours)
    return together


def _packed(span: ServerSpan, attributes: bytes | SpanFacts, events: bytes) -> PackedSpan:
    parent, status = span._parent, span._status
    return PackedSpan(
        span._name,
        span._kind,
        span._ids,
        span._flags,
        span._state or None,
        0 if parent is None else parent.span_id,
        parent is not None and parent.is_remote,
        None if parent is None else parent.trace_flags,
        span._start_time,
        span._end_time,
        status.status_code,
        status.description,
        attributes,
        events,
        span._resource,
        span._instrumentation_scope,
    )


def _shared(specimen: Any) -> dict[str, Any]:
    """Return what all spans of the specimen's tracer have in common, and what of their own is nothing at first."""
    present = vars(specimen).keys()
    _expect(_OWN | _SHARED <= present <= _OWN | _SHARED | _SHARED_BY_SOME, f"attributes of a span: {present}")
    metrics = getattr(specimen, "_record_end_metrics", None)
    _expect(metrics is None or metrics.__name__ == "noop", "metrics of the SDK's own")
    limits = specimen._limits
    _expect(limits.max_span_attributes is None or limits.max_span_attributes >= _ATTRIBUTES, "few attributes")
    _expect(limits.max_span_attribute_length is None, "short attributes")
    shared = {name: value for name, value in vars(specimen).items() if name not in _OWN}
    functions = {name: staticmethod(value) for name, value in shared.items() if callable(value)}
    return {**shared, **functions, "_parent": None, "_end_time": None}


def _yes() -> bool:
    return True


def _expect(is_known: bool, what: str) -> None:
    if not is_known:
        raise NotAsKnownError(what)
