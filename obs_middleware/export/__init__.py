"""Exporters of metrics, for `observer.exporters.add(…)`; each is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected, Exporter
    from obs_middleware.export.json_file import JsonFile
    from obs_middleware.export.otlp_metrics import OtlpMetrics
    from obs_middleware.export.pushgateway import Pushgateway
    from obs_middleware.export.textfile import Textfile

__all__ = ["Collected", "Exporter", "JsonFile", "OtlpMetrics", "Pushgateway", "Textfile"]

_MODULES = {
    "Collected": "collected",
    "Exporter": "collected",
    "JsonFile": "json_file",
    "OtlpMetrics": "otlp_metrics",
    "Pushgateway": "pushgateway",
    "Textfile": "textfile",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
