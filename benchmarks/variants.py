"""The variants: what each is called, and what it must be seen to do before its time is believed."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks import telemetry


class Variant(NamedTuple):
    """One way to observe an app.

    Args:
        label: its name in the tables.
        tells: of `id` (a header of the response), `metrics` (a page), `line` (of the log), `spans`.
        ratio: of the traces that are sampled.
        is_compiled: with the compiled request path, if it could be built.
    """

    label: str
    tells: frozenset[str] = frozenset()
    ratio: float = 0.0
    is_compiled: bool = True


def _tells(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ALL = _tells("id metrics line spans")

VARIANTS = {
    "bare": Variant("bare"),
    "no-op": Variant("no-op middleware"),
    "request-id": Variant("request ID alone", _tells("id")),
    "instrumentator": Variant("prometheus-fastapi-instrumentator", _tells("metrics")),
    "starlette-exporter": Variant("starlette-exporter", _tells("metrics")),
    "flask-exporter": Variant("prometheus-flask-exporter", _tells("metrics")),
    "django-prometheus": Variant("django-prometheus", _tells("metrics")),
    "line": Variant("JSON access line, python-json-logger", _tells("line")),
    "otel-10": Variant("OpenTelemetry, 10 %", _tells("spans"), 0.1),
    "otel-100": Variant("OpenTelemetry, 100 %", _tells("spans"), 1.0),
    "otel-slim-10": Variant("OpenTelemetry without send/receive spans, 10 %", _tells("spans"), 0.1),
    "otel-slim-100": Variant("OpenTelemetry without send/receive spans, 100 %", _tells("spans"), 1.0),
    "native-10": Variant("FastAPI's own telemetry without operation spans, 10 %", _tells("spans"), 0.1),
    "native-100": Variant("FastAPI's own telemetry without operation spans, 100 %", _tells("spans"), 1.0),
    "assembled-10": Variant("assembled stack, 10 %", _ALL, 0.1),
    "assembled-100": Variant("assembled stack, 100 %", _ALL, 1.0),
    "exposed": Variant("prometheus_client.make_asgi_app"),  # for the scrape
    "ours-metrics": Variant("ours, IDs and metrics", _tells("id metrics")),
    "ours-line": Variant("ours, IDs, metrics, access line", _tells("id metrics line")),
    "ours-spans-10": Variant("ours, IDs, metrics, traces 10 %", _tells("id metrics spans"), 0.1),
    "ours-no-sdk": Variant("ours, all but the SDK", _tells("id metrics line")),
    "ours-0": Variant("ours, all on, 0 %", _ALL, 0.0),
    "ours-10": Variant("ours, all on, 10 %", _ALL, 0.1),
    "ours-100": Variant("ours, all on, 100 %", _ALL, 1.0),
    "ours-bound-10": Variant("ours, all on, 10 %, two bound fields", _ALL, 0.1),
    "before-10": Variant("ours before, all on, 10 %", _ALL, 0.1),
    "before-100": Variant("ours before, all on, 100 %", _ALL, 1.0),
    "ours-python-10": Variant("ours, all on, 10 %, in Python alone", _ALL, 0.1, is_compiled=False),
}

BOUND = "ours-bound-10"  # of the ASGI frameworks alone
OURS = tuple(name for name in VARIANTS if name.startswith(("ours", "before")) and name != BOUND)
METRICS_PEERS = ("instrumentator", "starlette-exporter", "flask-exporter", "django-prometheus")


def settings(name: str) -> dict[str, Any]:
    """Return the settings of one of ours; what is not named is on by default: exemplars, redaction, IDs."""
    variant = VARIANTS[name]
    given: dict[str, Any] = {"service_name": "bench", "environment": "production"}
    if "spans" in variant.tells:
        given |= {"otlp_endpoint": telemetry.endpoint(), "trace_sample_ratio": variant.ratio}
    elif name != "ours-no-sdk":
        given["tracing_enabled"] = False
    if "line" not in variant.tells:
        given["access_log"] = False
    return given
