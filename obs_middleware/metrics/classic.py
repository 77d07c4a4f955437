"""The same measurements under the names of other exporters, so that their dashboards and alerts go on working.

Names, labels and buckets are those of the exporters' own defaults. Values follow our rules: a path is a route's
template, a method is a known one or `_OTHER`, and a stream is measured up to its end. docs/http-metrics.md says what is
left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from obs_middleware.metrics.instrument import (
    DURATION,
    RECEIVED,
    SENT,
    ActiveGauge,
    Instrument,
    Row,
    constant,
    is_exception,
    method,
    route,
    status,
    status_class,
)

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

Names = tuple[list[Instrument], list[ActiveGauge]]

# prometheus-client's own.
_CLIENT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_HIGH_BOUNDS = tuple(sorted((*_CLIENT_BOUNDS[1:], 1.5, 2.0, 3.0, 3.5, 4.0, 4.5, 30.0, 60.0)))
_LOW_BOUNDS = (0.1, 0.5, 1.0)
_DJANGO_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 75.0)
_POWERS_OF_TWO = (0.0, *(float(2**power) for power in range(30)))


def classic(settings: Settings) -> Names:
    """Return what many services have under these names, whichever exporter they use."""
    shown_status = status_class if settings.metrics_group_status else status
    labels = ("method", method), ("path", route), ("status", shown_status)
    return [
        Instrument("http_requests", "HTTP requests.", "counter", DURATION, labels, has_own_labels=True),
        Instrument(
            "http_request_duration_seconds",
            "Duration of HTTP requests.",
            "histogram",
            DURATION,
            labels,
            settings.metrics_buckets,
            has_own_labels=True,
            has_route_bounds=True,
        ),
    ], []


def fastapi_instrumentator(settings: Settings) -> Names:
    """Return what prometheus-fastapi-instrumentator has."""
    handler = ("handler", _handler)
    total = ("method", method), ("status", status_class), handler
    return [
        Instrument(
            "http_requests",
            "Total number of requests by method, status and handler.",
            "counter",
            DURATION,
            total,
        ),
        Instrument(
            "http_request_size_bytes",
            "Length of incoming requests by handler.",
            "summary",
            RECEIVED,
            (handler,),
        ),
        Instrument(
            "http_response_size_bytes",
            "Length of outgoing responses by handler.",
            "summary",
            SENT,
            (handler,),
        ),
        Instrument(
            "http_request_duration_highr_seconds",
            "Latency with many buckets but no API specific labels.",
            "histogram",
            DURATION,
            (),
            _HIGH_BOUNDS,
        ),
        Instrument(
            "http_request_duration_seconds",
            "Latency with only few buckets by handler.",
            "histogram",
            DURATION,
            (handler, ("method", method)),
            _LOW_BOUNDS,
        ),
    ], [ActiveGauge("http_requests_inprogress", "Number of HTTP requests in progress.", ())]


def starlette_exporter(settings: Settings) -> Names:
    """Return what starlette-exporter has; the name of the app is the service's."""
    is_named = settings.service_name != "unknown_service"
    app = settings.service_name if is_named else "starlette"
    labels = ("method", method), ("path", route), ("status_code", status), ("app_name", constant(app))
    return [
        Instrument("starlette_requests", "Total HTTP requests", "counter", DURATION, labels),
        Instrument(
            "starlette_request_duration_seconds",
            "HTTP request duration, in seconds",
            "histogram",
            DURATION,
            labels,
            _CLIENT_BOUNDS,
        ),
    ], [
        ActiveGauge(
            "starlette_requests_in_progress",
            "Total HTTP requests currently in progress",
            (("method", "method"),),
            (("app_name", app),),
        )
    ]


def flask_exporter(settings: Settings) -> Names:
    """Return what prometheus_flask_exporter has."""
    labels = ("method", method), ("status", status)
    return [
        Instrument(
            "flask_http_request_duration_seconds",
            "Flask HTTP request duration in seconds",
            "histogram",
            DURATION,
            (("method", method), ("path", route), ("status", status)),
            _CLIENT_BOUNDS,
        ),
        Instrument("flask_http_request", "Total number of HTTP requests", "counter", DURATION, labels),
        Instrument(
            "flask_http_request_exceptions",
            "Total number of HTTP requests which resulted in an exception",
            "counter",
            DURATION,
            labels,
            counts=is_exception,
        ),
    ], []


def django_prometheus(settings: Settings, view_name: Callable[[str], str]) -> Names:
    """Return what django-prometheus has of requests.

    Args:
        view_name: returns the name of a route's view.
    """

    def view(row: Row) -> str:
        return view_name(row.route) or "<unnamed view>"

    by_view = ("view", view), ("method", _django_method)
    prefix = "django_http_"

    def counter(
        name: str, about: str, *labels: tuple[str, Callable[[Row], str]], failed: bool = False
    ) -> Instrument:
        counts = is_exception if failed else None
        return Instrument(f"{prefix}{name}", about, "counter", DURATION, labels, counts=counts)

    def histogram(
        name: str,
        about: str,
        measure: int,
        bounds: tuple[float, ...],
        *labels: tuple[str, Callable[[Row], str]],
    ) -> Instrument:
        return Instrument(f"{prefix}{name}", about, "histogram", measure, labels, bounds)

    by_status = ("status", status), *by_view
    return [
        counter("requests_before_middlewares", "Total count of requests before middlewares run."),
        counter("responses_before_middlewares", "Total count of responses before middlewares run."),
        histogram(
            "requests_latency_including_middlewares_seconds",
            "Histogram of requests processing time (including middleware processing time).",
            DURATION,
            _DJANGO_BOUNDS,
        ),
        histogram(
            "requests_latency_seconds_by_view_method",
            "Histogram of request processing time labelled by view.",
            DURATION,
            _DJANGO_BOUNDS,
            *by_view,
        ),
        counter("requests_total_by_method", "Count of requests by method.", ("method", _django_method)),
        counter("requests_total_by_view_transport_method", "Count of requests by view and method.", *by_view),
        counter("responses_total_by_status", "Count of responses by status.", ("status", status)),
        counter(
            "responses_total_by_status_view_method", "Count of responses by status, view, method.", *by_status
        ),
        histogram(
            "requests_body_total_bytes", "Histogram of requests by body size.", RECEIVED, _POWERS_OF_TWO
        ),
        histogram("responses_body_total_bytes", "Histogram of responses by body size.", SENT, _POWERS_OF_TWO),
        counter(
            "exceptions_total_by_type",
            "Count of exceptions by object type.",
            ("type", _class_name),
            failed=True,
        ),
        counter("exceptions_total_by_view", "Count of exceptions by view.", ("view", view), failed=True),
    ], []


def _handler(row: Row) -> str:
    return row.route or "none"


def _django_method(row: Row) -> str:
    return "<invalid method>" if row.method == "_OTHER" else row.method


def _class_name(row: Row) -> str:
    return row.error_type.rpartition(".")[2]
