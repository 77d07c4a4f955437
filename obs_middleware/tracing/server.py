"""The server span: made here once for each request, or adopted where somebody else has made it.

Names, attributes and status follow the stable HTTP conventions of OpenTelemetry
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). Without an SDK, or with tracing off, the request still
has a span context of its own: trace and span ID reach the logs and the calls made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from obs_middleware.exchange import current_exchange
from obs_middleware.request_id import random_bits
from obs_middleware.tracing.propagation import is_w3c, remote_parent, with_baggage, with_propagators

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

    from obs_middleware.exchange import Exchange, RequestInfo
    from obs_middleware.redaction import Redactor
    from obs_middleware.settings import Settings

_SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
_CHARACTERS = 1024  # of one attribute
_RANDOM = TraceFlags(0x02)  # trace-context-2, section 3.2.2.5.2


class ServerSpans:
    """Start and end the server span of each exchange."""

    def __init__(
        self, settings: Settings, redactor: Redactor, *, tracer_provider: trace.TracerProvider | None = None
    ) -> None:
        self._redactor = redactor
        self._is_enabled = settings.tracing_enabled
        self._tracer = trace.get_tracer("obs_middleware", tracer_provider=tracer_provider, schema_url=_SCHEMA)
        self._propagator: TextMapPropagator | None = None
        self._is_w3c = True

    def start(self, exchange: Exchange) -> None:
        """Give the exchange its span, its context and its IDs."""
        outer = current_exchange()
        # A server may start a request's task inside the one before it, whose context is then no concern of this one.
        context = Context() if outer is not None and outer.is_finished else otel_context.get_current()
        span = trace.get_current_span(context)
        # A call in process, from a request that we serve, gets a span of its own.
        is_of_outer = outer is not None and outer.span is span
        if is_of_outer or not _is_servers_own(span, exchange.info):
            span, context = self._start(exchange, context)
            exchange.is_span_ours = True
        here = span.get_span_context()
        exchange.span, exchange.context = span, context
        exchange.trace_id, exchange.span_id = f"{here.trace_id:032x}", f"{here.span_id:016x}"
        exchange.is_sampled = bool(here.trace_flags & TraceFlags.SAMPLED)

    def end(self, exchange: Exchange) -> None:
        """Name the span, write what is known and end it with the duration that every other signal shows."""
        span = exchange.span
        if span is None or not exchange.is_span_ours or not span.is_recording():
            return
        method = "HTTP" if exchange.method == "_OTHER" else exchange.method
        span.update_name(f"{method} {self._redactor.text(exchange.route)}" if exchange.route else method)
        for name, value in self._attributes(exchange).items():
            shown = self._redactor.text(value, limit=_CHARACTERS) if isinstance(value, str) else value
            if shown is not None and shown != "":
                span.set_attribute(name, shown)
        if exchange.info.query:
            span.set_attribute("url.query", self._redactor.query(exchange.info.query))
        if exchange.error_type:
            span.set_status(StatusCode.ERROR)
            if exchange.error is not None:
                self._add_exception(span, exchange.error)
        span.end(exchange.started_ns + round(exchange.duration * 1e9))

    def _start(self, exchange: Exchange, context: Context) -> tuple[Span, Context]:
        info = exchange.info
        context = self._continued(context, info)
        parent = trace.get_current_span(context).get_span_context()
        if self._is_enabled:
            span = self._tracer.start_span(
                exchange.method,
                context,
                SpanKind.SERVER,
                {
                    "http.request.method": exchange.method,
                    "url.scheme": info.scheme,
                    "url.path": exchange.path,
                },
                start_time=exchange.started_ns,
            )
            here = span.get_span_context()
            if here.is_valid and here.span_id != parent.span_id:
                return span, trace.set_span_in_context(span, context)
        span = NonRecordingSpan(_own_context(parent))
        return span, trace.set_span_in_context(span, context)

    def _continued(self, context: Context, info: RequestInfo) -> Context:
        propagator = get_global_textmap()
        if propagator is not self._propagator:
            self._propagator, self._is_w3c = propagator, is_w3c(propagator)
        if not self._is_w3c:
            return with_propagators(context, info.header)
        parent = remote_parent(info.header)
        if parent is not None:
            context = trace.set_span_in_context(NonRecordingSpan(parent), context)
        return with_baggage(context, info.header)

    def _attributes(self, exchange: Exchange) -> dict[str, str | int | None]:
        info = exchange.info
        host, port = _server_address(info)
        address, peer_port = info.peer or (None, None)
        return {
            "http.request.method_original": info.method if info.method != exchange.method else None,
            "http.route": exchange.route,
            "http.response.status_code": exchange.status,
            "error.type": exchange.error_type,
            "server.address": host,
            "server.port": port,
            "client.address": address,
            "network.peer.address": address,
            "network.peer.port": peer_port,
            "network.protocol.name": "websocket" if info.is_websocket else None,
            "network.protocol.version": info.http_version,
            "user_agent.original": info.header("user-agent"),
        }

    def _add_exception(self, span: Span, error: BaseException) -> None:
        """Write the exception as an event; its text is the app's, so it is redacted (and not `record_exception`)."""
        kind, message, stack = self._redactor.error(error)
        span.add_event(
            "exception", {"exception.type": kind, "exception.message": message, "exception.stacktrace": stack}
        )


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


def _own_context(parent: SpanContext) -> SpanContext:
    """Return a span context of this request, in the caller's trace or in a new one."""
    span_id = random_bits(64) or 1
    if parent.is_valid:
        return SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)
    return SpanContext(random_bits(128) or 1, span_id, False, _RANDOM)


def _server_address(info: RequestInfo) -> tuple[str, int | None]:
    host = (info.header("host") or "").strip().rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5 and not name.endswith(":"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), {"http": 80, "https": 443, "ws": 80, "wss": 443}.get(
        info.scheme
    ) if host else None
