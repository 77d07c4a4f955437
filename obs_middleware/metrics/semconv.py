"""The HTTP server's instruments by name, as OpenTelemetry has them and Prometheus writes them.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/

The duration alone is shown by status. The others are shown by method and route with few buckets, because a service of
many routes would have most of its series there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from obs_middleware.metrics.instrument import (
    DURATION,
    FIRST_BYTE,
    RECEIVED,
    SENT,
    ActiveGauge,
    Instrument,
    error_class,
    error_type,
    few,
    method,
    route,
    status,
    status_class,
)

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

BYTES_BUCKETS = (100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0)
_FEW_RECEIVED, _FEW_SENT = (100_000.0,), (10_000.0, 1_000_000.0)

ACTIVE = ActiveGauge(
    "http_server_active_requests",
    "Requests that are being served.",
    (("http_request_method", "method"), ("url_scheme", "scheme")),
)


def instruments(settings: Settings) -> list[Instrument]:
    """Return the histograms that the settings ask for."""
    by_route = ("http_request_method", method), ("http_route", route)
    is_grouped = settings.metrics_group_status
    shown_status, shown_error = (status_class, error_class) if is_grouped else (status, error_type)
    by_status = *by_route, ("http_response_status_code", shown_status), ("error_type", shown_error)
    seconds, has_all = settings.metrics_buckets, settings.metrics_detail == "status"
    rest = by_status if has_all else by_route
    table = (
        ("request_duration", "seconds", "Duration of HTTP server requests.", DURATION, by_status, seconds),
        (
            "time_to_first_byte",
            "seconds",
            "Time until the response starts.",
            FIRST_BYTE,
            rest,
            seconds if has_all else few(seconds),
        ),
        (
            "request_body_size",
            "bytes",
            "Size of request bodies.",
            RECEIVED,
            rest,
            BYTES_BUCKETS if has_all else _FEW_RECEIVED,
        ),
        (
            "response_body_size",
            "bytes",
            "Size of response bodies.",
            SENT,
            rest,
            BYTES_BUCKETS if has_all else _FEW_SENT,
        ),
    )
    return [
        Instrument(
            f"http_server_{name}_{unit}",
            about,
            "histogram",
            measure,
            labels,
            bounds,
            has_own_labels=True,
            has_route_bounds=measure == DURATION,
        )
        for name, unit, about, measure, labels, bounds in table
        if name in settings.http_metrics
    ]


def gauges(settings: Settings) -> list[ActiveGauge]:
    """Return the gauge of active requests, if the settings ask for it."""
    return [ACTIVE] if "active_requests" in settings.http_metrics else []
