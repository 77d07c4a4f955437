"""What is counted of websockets: how many are open, how they were closed, what they carried, how long they lasted.

They are metrics of prometheus-client, because websockets are fewer than requests. They exist from the first one on.
"""

from __future__ import annotations

from time import perf_counter
from weakref import ref

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from obs_middleware.first_names import FirstNames
from obs_middleware.fork_lock import ForkLock

_PREFIX = "http_server_websocket_"
_SECONDS_BUCKETS = (1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
_ROUTES = 500  # that are told apart; an app may name any
_STANDARD_CODES = range(1000, 1016)  # https://www.iana.org/assignments/websocket/websocket.xml
_OTHER_CODES = 20  # further ones that are told apart: those of apps, and whatever clients send


class WebsocketMetrics:
    """The websockets of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = ref(registry)
        self._families: _Families | None = None
        self._making = ForkLock()
        self._routes = FirstNames(_ROUTES)
        self._codes = FirstNames(_OTHER_CODES)

    def opened(self, route: str) -> OpenWebsocket:
        """Count a websocket that was accepted."""
        return OpenWebsocket(self, self._made(), route if self._routes.has(route) else "overflow")

    def bounded_code(self, code: int | None) -> str:
        """Return a close code as a label, `_OTHER` past a number of them; empty where it is not known."""
        if code is None:
            return ""
        return str(code) if code in _STANDARD_CODES or self._codes.has(str(code)) else "_OTHER"

    def _made(self) -> _Families:
        with self._making:
            if self._families is None:
                registry = self._registry()
                if registry is None:
                    raise ReferenceError("the registry is gone")
                self._families = _Families(registry)
        return self._families


class OpenWebsocket:
    """One websocket that is open."""

    __slots__ = ("_began", "_families", "_metrics", "_received", "_route", "_sent")

    def __init__(self, metrics: WebsocketMetrics, families: _Families, route: str) -> None:
        self._metrics, self._families, self._route = metrics, families, route
        self._received = families.of_direction(route, "receive")
        self._sent = families.of_direction(route, "transmit")
        self._began = perf_counter()
        families.active.labels(route).inc()

    def received(self, size: int) -> None:
        """Count a message of the client's."""
        _count(self._received, size)

    def sent(self, size: int) -> None:
        """Count a message of the app's."""
        _count(self._sent, size)

    def closed(self, code: int | None) -> None:
        """Count the websocket out, with the close code of the side that was first."""
        families, route = self._families, self._route
        families.active.labels(route).dec()
        families.closed.labels(route, self._metrics.bounded_code(code)).inc()
        families.duration.labels(route).observe(perf_counter() - self._began)


class _Families:
    def __init__(self, registry: CollectorRegistry) -> None:
        route, direction = "http_route", "network_io_direction"
        self.active = Gauge(
            f"{_PREFIX}active_connections",
            "Websockets that are open.",
            (route,),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.closed = Counter(
            f"{_PREFIX}connections",
            "Websockets that were closed, by close code.",
            (route, "websocket_close_code"),
            registry=registry,
        )
        self.duration = Histogram(
            f"{_PREFIX}connection_duration_seconds",
            "How long websockets were open.",
            (route,),
            registry=registry,
            buckets=_SECONDS_BUCKETS,
        )
        self._messages = Counter(
            f"{_PREFIX}messages", "Messages of websockets.", (route, direction), registry=registry
        )
        self._bytes = Counter(
            f"{_PREFIX}message_bytes", "Bytes of their messages.", (route, direction), registry=registry
        )

    def of_direction(self, route: str, direction: str) -> tuple[Counter, Counter]:
        """Return what counts the messages and their bytes."""
        return self._messages.labels(route, direction), self._bytes.labels(route, direction)


def _count(counters: tuple[Counter, Counter], size: int) -> None:
    messages, size_sum = counters
    messages.inc()
    size_sum.inc(size)
