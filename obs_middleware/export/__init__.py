"""Exporters of metrics, for `observer.exporters.add(…)`."""

from obs_middleware.export.collected import Collected, Exporter
from obs_middleware.export.json_file import JsonFile
from obs_middleware.export.otlp_metrics import OtlpMetrics
from obs_middleware.export.pushgateway import Pushgateway
from obs_middleware.export.textfile import Textfile

__all__ = ["Collected", "Exporter", "JsonFile", "OtlpMetrics", "Pushgateway", "Textfile"]
