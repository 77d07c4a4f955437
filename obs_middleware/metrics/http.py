"""The HTTP server's instruments, under OpenTelemetry's names as Prometheus writes them.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. Series are bounded whatever clients send: methods are
known ones or `_OTHER`, routes are templates, and past a cap every further label set is counted in one overflow set.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from obs_middleware.settings import ConfigError

if TYPE_CHECKING:
    from obs_middleware.exchange import Exchange

_LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")
_BYTES_BUCKETS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_SCHEMES = ("http", "https", "ws", "wss")
_OVERFLOW = ("_OTHER", "overflow", "", "overflow")

Key = tuple[str, str, str, str]
Children = tuple[Histogram, Histogram, Histogram, Histogram]


class Instruments:
    """The metrics of one registry and their series; made once for it, shared by all Observers that use it."""

    def __init__(self, registry: CollectorRegistry, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.children: dict[Key, Children] = {}
        self.timed = (
            _histogram("http_server_request_duration_seconds", "Duration of HTTP server requests.", buckets),
            _histogram("http_server_time_to_first_byte_seconds", "Time until the response starts.", buckets),
        )
        self.sized = (
            _histogram("http_server_request_body_size_bytes", "Size of request bodies.", _BYTES_BUCKETS),
            _histogram("http_server_response_body_size_bytes", "Size of response bodies.", _BYTES_BUCKETS),
        )
        self.active = Gauge(
            "http_server_active_requests",
            "Requests that are being served.",
            ("http_request_method", "url_scheme"),
            registry=None,
        )
        self.internal_errors = Counter(
            "obs_internal_errors", "Failures inside obs-middleware itself.", ("component",), registry=None
        )
        self.overflow = Counter(
            "obs_series_overflow", "Measurements folded into the overflow set.", ("metric",), registry=None
        )
        self._register(registry)

    def _register(self, registry: CollectorRegistry) -> None:
        done: list[Histogram | Gauge | Counter] = []
        try:
            for metric in (*self.timed, *self.sized, self.active, self.internal_errors, self.overflow):
                registry.register(metric)
                done.append(metric)
        except ValueError:
            for metric in done:
                registry.unregister(metric)
            raise


class HttpMetrics:
    """Record exchanges.

    Raises:
        ConfigError: another Observer uses the registry with other buckets, or another library has taken a name.
    """

    def __init__(self, registry: CollectorRegistry, *, buckets: tuple[float, ...], max_series: int) -> None:
        self.instruments = _instruments(registry, buckets)
        self._max_series = max_series

    def start(self, exchange: Exchange) -> None:
        """Count a request in."""
        self._active(exchange).inc()

    def end(self, exchange: Exchange) -> None:
        """Count a request out and observe it; a websocket that was accepted is a connection, not a request."""
        self._active(exchange).dec()
        if exchange.status == 101:
            return
        duration, first_byte, request_size, response_size = self._observed(exchange)
        exemplar = (
            {"trace_id": exchange.trace_id, "span_id": exchange.span_id} if exchange.is_sampled else None
        )
        duration.observe(exchange.duration, exemplar)
        if exchange.time_to_first_byte is not None:
            first_byte.observe(exchange.time_to_first_byte, exemplar)
        request_size.observe(exchange.request_bytes)
        response_size.observe(exchange.response_bytes)

    def _active(self, exchange: Exchange) -> Gauge:
        scheme = exchange.info.scheme
        return self.instruments.active.labels(exchange.method, scheme if scheme in _SCHEMES else "_OTHER")

    def _observed(self, exchange: Exchange) -> Children:
        key = (
            exchange.method,
            exchange.route or "",
            "" if exchange.status is None else str(exchange.status),
            exchange.error_type,
        )
        known = self.instruments.children
        children = known.get(key)
        if children is None:
            if len(known) >= self._max_series:
                self.instruments.overflow.labels("http_server").inc()
                key = _OVERFLOW
            children = known[key] = self._labelled(key)
        return children

    def _labelled(self, key: Key) -> Children:
        own = self.instruments
        labels = [label.encode("utf-8", "backslashreplace").decode("utf-8") for label in key]
        duration, first_byte = (metric.labels(*labels) for metric in own.timed)
        request_size, response_size = (metric.labels(*labels) for metric in own.sized)
        return duration, first_byte, request_size, response_size


def _histogram(name: str, about: str, bounds: tuple[float, ...]) -> Histogram:
    return Histogram(name, about, _LABELS, buckets=bounds, registry=None)


_made: WeakKeyDictionary[CollectorRegistry, Instruments] = WeakKeyDictionary()
_making = Lock()


def _instruments(registry: CollectorRegistry, buckets: tuple[float, ...]) -> Instruments:
    with _making:
        own = _made.get(registry)
        if own is None:
            try:
                own = _made[registry] = Instruments(registry, buckets)
            except ValueError as error:
                raise ConfigError(
                    f"the registry holds a metric of our name already ({error}): "
                    "hand another one in, Observer(registry=CollectorRegistry())"
                ) from error
    if own.buckets != buckets:
        raise ConfigError(
            f"metrics_buckets must be {own.buckets}, as another Observer has them on this registry, got {buckets}: "
            "hand another registry in, Observer(registry=CollectorRegistry())"
        )
    return own
