"""The HTTP server's instruments by name, as OpenTelemetry has them and Prometheus writes them.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
"""

from __future__ import annotations

from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily

LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")
ACTIVE_LABELS = ("http_request_method", "url_scheme")
BYTES_BUCKETS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def histograms(seconds: tuple[float, ...]) -> list[tuple[HistogramMetricFamily, tuple[float, ...]]]:
    """Return the four histograms with no samples, and their bounds, in the order in which a row of the table has them.

    Args:
        seconds: the bounds of the two that measure time.
    """
    return [
        (HistogramMetricFamily(f"http_server_{name}", about, labels=LABELS), bounds)
        for name, about, bounds in (
            ("request_duration_seconds", "Duration of HTTP server requests.", seconds),
            ("time_to_first_byte_seconds", "Time until the response starts.", seconds),
            ("request_body_size_bytes", "Size of request bodies.", BYTES_BUCKETS),
            ("response_body_size_bytes", "Size of response bodies.", BYTES_BUCKETS),
        )
    ]


def active_requests() -> GaugeMetricFamily:
    """Return the gauge of active requests with no samples."""
    about = "Requests that are being served."
    return GaugeMetricFamily("http_server_active_requests", about, labels=ACTIVE_LABELS)
