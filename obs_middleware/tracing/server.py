"""The server span: made here once for each request, or adopted where somebody else has made it.

Names, attributes and status follow the stable HTTP conventions of OpenTelemetry
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). Without an SDK, or with tracing off, the request still
has a span context of its own: trace and span ID reach the logs and the calls made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from obs_middleware.exchange import CURRENT, get_context
from obs_middleware.request_id import random_bits
from obs_middleware.tracing.propagation import Header, is_w3c, remote_parent, with_baggage, with_propagators

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

    from obs_middleware.exchange import Exchange, RequestInfo
    from obs_middleware.redaction import Redactor
    from obs_middleware.settings import Settings
    from obs_middleware.tracing.sampling import Sampling

SCOPE, SCHEMA = "obs_middleware", "https://opentelemetry.io/schemas/1.41.0"  # of the tracer
_CHARACTERS = 1024  # of one attribute
_HOSTS = 256  # remembered, of those that clients name
_RANDOM = TraceFlags(0x02)  # trace-context-2, section 3.2.2.5.2
_SAMPLED = TraceFlags.SAMPLED
_HEX32, _HEX16 = "%032x", "%016x"
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NOTHING = Context()
(_SPAN,) = set_span_in_context(
    NonRecordingSpan(INVALID_SPAN_CONTEXT), _NOTHING
)  # the key of a context's span


class ServerSpans:
    """Start and end the server span of each exchange.

    `sampling` is set where the provider is one that we have set up: what is not kept then costs nothing (2.9 µs less),
    and what is kept is made past the SDK where it can be (25 µs less).
    """

    def __init__(
        self, settings: Settings, redactor: Redactor, *, tracer_provider: trace.TracerProvider | None = None
    ) -> None:
        self.sampling: Sampling | None = None
        self._redactor = redactor
        self._is_enabled = settings.tracing_enabled
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA)
        self._w3c: TextMapPropagator | None = None  # the global propagator, seen to be the default one

    def start(self, exchange: Exchange) -> None:
        """Give the exchange its span, its context and its IDs."""
        outer, context, header = CURRENT.get(), get_context(), exchange.info.header
        if (
            context
            or outer is not None
            or get_global_textmap() is not self._w3c
            or header("traceparent") is not None
            or header("baggage") is not None
        ):
            self._continue(exchange, outer, context)
            return
        exchange.is_span_ours = True
        trace_id = random_bits(128) or 1
        if self._may_be_kept(trace_id):
            self._record(exchange, trace_id, INVALID_SPAN_CONTEXT, _NOTHING)
        else:
            _carry(exchange, trace_id, _RANDOM, None, _NOTHING)

    def end(self, exchange: Exchange) -> None:
        """Name the span, write what is known and end it with the duration that every other signal shows."""
        span = exchange.span
        if span is None or not exchange.is_span_ours or not span.is_recording():
            return
        method = "HTTP" if exchange.method == "_OTHER" else exchange.method
        name = f"{method} {self._redactor.known(exchange.route)}" if exchange.route else method
        attributes = self._attributes(exchange)
        end_time = exchange.started_ns + round(exchange.duration * 1e9)
        if exchange.error_type:
            span.set_status(StatusCode.ERROR)
            if exchange.error is not None:
                self._add_exception(span, exchange.error)
        direct = None if self.sampling is None else self.sampling.direct
        if direct is None or not direct.end(span, name, attributes, end_time):
            span.update_name(name)
            span.set_attributes(attributes)
            span.end(end_time)

    def _may_be_kept(self, trace_id: int) -> bool:
        """Tell whether the SDK has to be asked for a new trace; where its sampler is not ours it always has."""
        return self._is_enabled and (self.sampling is None or self.sampling.keeps(trace_id))

    def _continue(self, exchange: Exchange, outer: Exchange | None, context: Context) -> None:
        """Start where something is around: a trace of the caller's, baggage, a span or an exchange that is current."""
        # A server may start a request's task inside the one before it, whose context is then no concern of this one.
        if outer is not None and outer.is_finished:
            context = _NOTHING
        if context:
            span = trace.get_current_span(context)
            # A call in process, from a request that we serve, gets a span of its own.
            is_of_outer = outer is not None and outer.span is span
            if not is_of_outer and _is_servers_own(span, exchange.info):
                exchange.context = context
                _note(exchange, span)
                return
        exchange.is_span_ours = True
        context = self._incoming(context, exchange.info.header)
        parent = trace.get_current_span(context).get_span_context() if context else INVALID_SPAN_CONTEXT
        if not parent.is_valid:
            trace_id = random_bits(128) or 1
            if self._may_be_kept(trace_id):
                self._record(exchange, trace_id, parent, context)
            else:
                _carry(exchange, trace_id, _RANDOM, None, context)
        elif self._is_enabled and (self.sampling is None or parent.trace_flags & _SAMPLED):
            self._record(exchange, parent.trace_id, parent, context)
        else:
            _carry(exchange, parent.trace_id, parent.trace_flags, parent.trace_state, context)

    def _record(self, exchange: Exchange, trace_id: int, parent: SpanContext, context: Context) -> None:
        """Give the exchange a span that records, if there is one."""
        attributes: dict[str, str | int] = {
            "http.request.method": exchange.method,
            "url.scheme": exchange.info.scheme,
            "url.path": exchange.path,
        }
        direct = None if self.sampling is None else self.sampling.direct
        if direct is not None:
            span_id = random_bits(64) or 1
            span = direct.start(
                exchange.method, trace_id, span_id, parent, context, attributes, exchange.started_ns
            )
            if span is not None:
                exchange.span, exchange.is_sampled = span, True
                exchange.context = Context({**context, _SPAN: span})
                exchange.trace_id, exchange.span_id = _HEX32 % trace_id, _HEX16 % span_id
                return
        self._ask(exchange, trace_id, parent, context, attributes)

    def _ask(
        self,
        exchange: Exchange,
        trace_id: int,
        parent: SpanContext,
        context: Context,
        attributes: dict[str, str | int],
    ) -> None:
        """Give the exchange a span of the SDK, if there is one."""
        sampling, is_new = self.sampling, not parent.is_valid
        if sampling is not None and is_new:
            sampling.draw(trace_id)
        span = self._tracer.start_span(
            exchange.method, context, SpanKind.SERVER, attributes, start_time=exchange.started_ns
        )
        here = span.get_span_context()
        if here.is_valid and here.span_id != parent.span_id:
            exchange.context = Context({**context, _SPAN: span})
            _note(exchange, span)
            return
        if sampling is not None:
            sampling.draw(0)
        if is_new:
            _carry(exchange, trace_id, _RANDOM, None, context)
        else:
            _carry(exchange, trace_id, parent.trace_flags, parent.trace_state, context)

    def _incoming(self, context: Context, header: Header) -> Context:
        """Return the context with what the headers carry."""
        propagator = get_global_textmap()
        if propagator is not self._w3c:
            if not is_w3c(propagator):
                return with_propagators(context, header)
            self._w3c = propagator
        parent = remote_parent(header)
        if parent is not None:
            context = trace.set_span_in_context(NonRecordingSpan(parent), context)
        return context if header("baggage") is None else with_baggage(context, header)

    def _attributes(self, exchange: Exchange) -> dict[str, str | int]:
        """Return what is known at the end; texts without secrets."""
        info = exchange.info
        known = self._redactor.known
        attributes: dict[str, str | int] = {}
        if info.method != exchange.method:
            attributes["http.request.method_original"] = known(info.method, limit=_CHARACTERS)
        if exchange.route:
            attributes["http.route"] = known(exchange.route, limit=_CHARACTERS)
        if exchange.status is not None:
            attributes["http.response.status_code"] = exchange.status
        if exchange.error_type:
            attributes["error.type"] = known(exchange.error_type, limit=_CHARACTERS)
        host = info.header("host")
        if host:
            attributes.update(_server_address(known(host, limit=_CHARACTERS), info.scheme))
        if info.peer is not None:
            address, port = info.peer
            attributes["client.address"] = attributes["network.peer.address"] = known(address)
            if port is not None:
                attributes["network.peer.port"] = port
        if info.is_websocket:
            attributes["network.protocol.name"] = "websocket"
        if info.http_version:
            attributes["network.protocol.version"] = known(info.http_version, limit=_CHARACTERS)
        user_agent = info.header("user-agent")
        if user_agent:
            attributes["user_agent.original"] = known(user_agent, limit=_CHARACTERS)
        if info.query:
            attributes["url.query"] = self._redactor.query(info.query)
        return attributes

    def _add_exception(self, span: Span, error: BaseException) -> None:
        """Write the exception as an event; its text is the app's, so it is redacted (and not `record_exception`)."""
        kind, message, stack = self._redactor.error(error)
        span.add_event(
            "exception", {"exception.type": kind, "exception.message": message, "exception.stacktrace": stack}
        )


def _carry(
    exchange: Exchange, trace_id: int, flags: TraceFlags, state: TraceState | None, context: Context
) -> None:
    """Give the exchange a span that records nothing, so that logs and calls made carry its IDs."""
    span_id = random_bits(64) or 1
    exchange.span = span = _Unrecorded(trace_id, span_id, flags, state)
    exchange.context = Context({**context, _SPAN: span})
    exchange.trace_id, exchange.span_id = _HEX32 % trace_id, _HEX16 % span_id  # half the time of format()
    exchange.is_sampled = flags & _SAMPLED != 0


def _note(exchange: Exchange, span: Span) -> None:
    here = span.get_span_context()
    exchange.span = span
    exchange.trace_id, exchange.span_id = f"{here.trace_id:032x}", f"{here.span_id:016x}"
    exchange.is_sampled = here.trace_flags & _SAMPLED != 0


def _is_servers_own(span: Span, info: RequestInfo) -> bool:
    """Tell whether an instrumentation outside us has made this request's server span already.

    An unsampled span has no kind: it is the request's when it continues the trace that the request came with.
    """
    here = span.get_span_context()
    if not here.is_valid or here.is_remote:
        return False
    if span.is_recording():
        return getattr(span, "kind", None) is SpanKind.SERVER
    parent = remote_parent(info.header)
    return parent is not None and parent.trace_id == here.trace_id


@lru_cache(_HOSTS)
def _server_address(field: str, scheme: str) -> dict[str, str | int]:
    """Return the attributes that a Host field tells; the port of the scheme where it names none."""
    host = field.strip().rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5 and not name.endswith(":"):
        return {"server.address": name.strip("[]"), "server.port": int(port)}
    default = _PORTS.get(scheme) if host else None
    return {"server.address": host.strip("[]"), **({} if default is None else {"server.port": default})}


class _Unrecorded(NonRecordingSpan):
    """A span that records nothing; its SpanContext is made when somebody asks (0.3 µs less)."""

    __slots__ = ("_ids",)

    def __init__(self, trace_id: int, span_id: int, flags: TraceFlags, state: TraceState | None) -> None:
        self._ids = trace_id, span_id, False, flags, state

    def get_span_context(self) -> SpanContext:
        return SpanContext(*self._ids)

    def __repr__(self) -> str:
        return f"NonRecordingSpan({self.get_span_context()!r})"
