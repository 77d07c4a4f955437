"""OtlpMetrics: send the metrics to an OpenTelemetry collector, by OpenTelemetry's own exporter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry import context

from obs_middleware import process
from obs_middleware.errors import ConfigError
from obs_middleware.export import checks
from obs_middleware.resource import detected, resource_of
from obs_middleware.settings import otel

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected
    from obs_middleware.settings import Settings

_PATH = "/v1/metrics"
_TARGET = "target"  # `target_info`: what the resource says
_SUPPRESS = (
    "suppress_instrumentation"  # so that nobody traces our own request: opentelemetry-instrumentation's key
)


class OtlpMetrics:
    """Send the metrics by OTLP over HTTP, every now and then.

    A worker among others sends its own, with its own `service.instance.id`: whoever reads them adds them up.

    Args:
        endpoint: base URL of the collector; unless given, that of the setting `otlp_endpoint`, or what OpenTelemetry's
            variables say, such as `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`.
        headers: sent with each request, beside those of `OTEL_EXPORTER_OTLP_HEADERS`.
        interval_seconds: between two exports.
        timeout_seconds: how long one may take.

    Raises:
        ConfigError: what it needs is not installed, or an argument is none.
    """

    name = "otlp_metrics"

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        interval_seconds: float = 60.0,
        timeout_seconds: float = 10.0,
    ) -> None:
        try:
            self._make = import_module(
                "opentelemetry.exporter.otlp.proto.http.metric_exporter"
            ).OTLPMetricExporter
        except ImportError as error:
            raise ConfigError(
                f"OtlpMetrics needs OpenTelemetry's exporter ({error}): pip install 'obs-middleware[otlp]'"
            ) from None
        detected(process.pid())  # while it can be
        self._endpoint = endpoint
        if endpoint is not None:
            checks.url("OtlpMetrics", endpoint, example="http://collector:4318")
            if "?" in endpoint:
                raise ConfigError("OtlpMetrics wants a URL without a query: put keys and tokens in headers=")
        self._headers = checks.headers("OtlpMetrics: headers", headers or {}) or None
        self.interval_seconds = interval_seconds
        self._timeout_seconds = checks.seconds("OtlpMetrics: timeout_seconds", timeout_seconds)
        self._started = time.time()
        self._exporter: Any = None
        self._pid: int | None = None  # the process that the exporter was made in

    def export(self, collected: Collected) -> None:
        """Send the metrics.

        Raises:
            OSError: the collector is not there, or does not take them.
        """
        from obs_middleware.export.otlp_points import metrics_data

        pid = process.pid()
        if self._pid != pid:  # a forked child opens a connection of its own
            self._exporter = self._make(
                endpoint=self._url(collected.settings), headers=self._headers, timeout=self._timeout_seconds
            )
            self._pid = pid
        resource = resource_of(collected.settings, collected.labels.get("environment", "production"))
        families = [family for family in collected.own_families() if family.name != _TARGET]
        data = metrics_data(families, resource, started=self._started, now=collected.timestamp)
        token = context.attach(context.set_value(_SUPPRESS, True))
        try:
            result = self._exporter.export(data)
        finally:
            context.detach(token)
        if result.name != "SUCCESS":
            raise OSError(
                "the collector has not taken the metrics; the log of OpenTelemetry's exporter says why"
            )

    def _url(self, settings: Settings) -> str | None:
        """Return the whole URL; None where OpenTelemetry's variables say it."""
        endpoint = self._endpoint
        if endpoint is None and settings.otlp_endpoint != otel.endpoint()[0]:
            endpoint = (settings.otlp_endpoint or "").removesuffix("/v1/traces")
        if not endpoint:
            return None
        return endpoint if endpoint.endswith(_PATH) else f"{endpoint.rstrip('/')}{_PATH}"
