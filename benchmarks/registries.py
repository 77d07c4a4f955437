"""Registries that are full: 200 routes × 3 methods × 4 statuses, in metrics of ours or in those of a user."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Summary

from benchmarks.drive import HEADERS, environ

ROUTES = 200
_METHODS = ("GET", "POST", "DELETE")
_STATUSES = ("200 OK", "201 Created", "404 Not Found", "500 Internal Server Error")
_ZONES = ("a", "b", "c")
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_SAME_SIZE = (
    250  # routes whose series of ours, four histograms each, make as many samples as a user's one of 200
)


def fill(kind: str) -> Callable[[], None]:
    """Fill the default registry, and return what changes a twelfth of its series.

    Args:
        kind: `ours` (our HTTP metrics, all routes), `ours-same-size` (fewer routes, as many samples as a user's) or
            `user` (one histogram of prometheus-client) or `counters` (a counter, a gauge and a summary of it).
    """
    fillers: dict[str, Callable[[], Callable[[], None]]] = {
        "ours": partial(_ours, ROUTES),
        "ours-same-size": partial(_ours, _SAME_SIZE),
        "user": _user,
        "counters": _counters,
    }
    return fillers[kind]()


def _user() -> Callable[[], None]:
    orders = Histogram("orders_seconds", "Of a user.", ("method", "route", "status"), buckets=_BOUNDS)

    def touch(methods: tuple[str, ...] = _METHODS[:1], statuses: tuple[str, ...] = _STATUSES[:1]) -> None:
        for number in range(ROUTES):
            for method in methods:
                for status in statuses:
                    orders.labels(method, f"/api/v1/r{number}/{{item}}", status[:3]).observe(0.0371)

    touch(_METHODS, _STATUSES)
    return touch


def _counters() -> Callable[[], None]:
    names = ("method", "route", "status", "zone")
    orders = Counter("orders", "Of a user.", names)
    waiting = Gauge("orders_waiting", "Of a user.", names)
    sizes = Summary("orders_bytes", "Of a user.", names)

    def touch(methods: tuple[str, ...] = _METHODS[:1], statuses: tuple[str, ...] = _STATUSES[:1]) -> None:
        for number in range(ROUTES):
            for labels in product(methods, (f"/api/v1/r{number}/{{item}}",), statuses, _ZONES):
                orders.labels(*labels).inc()
                waiting.labels(*labels).set(number / 7)
                sizes.labels(*labels).observe(1000 * number + 0.5)

    touch(_METHODS, _STATUSES)
    return touch


def _ours(routes: int) -> Callable[[], None]:
    """Fill it by requests; over WSGI, since an event loop may be running already."""
    from obs_middleware import Observer, current_exchange
    from obs_wsgi import ObservabilityMiddleware

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        exchange = current_exchange()
        assert exchange is not None
        exchange.route, _, status = environ["PATH_INFO"].partition(":")
        start_response(status, [])
        return [b"x"]

    observer = Observer(registry=REGISTRY, access_log=False, tracing_enabled=False, log_setup=False)
    app: Any = ObservabilityMiddleware(inner, observer)

    def touch(methods: tuple[str, ...] = _METHODS[:1], statuses: tuple[str, ...] = _STATUSES[:1]) -> None:
        for number in range(routes):
            for method in methods:
                for status in statuses:
                    given = environ(f"/api/v1/r{number}/{{item}}:{status}", method, HEADERS)
                    body = app({**given, "wsgi.input": io.BytesIO()}, lambda *_: None)
                    list(body)
                    body.close()

    touch(_METHODS, _STATUSES)
    return touch
