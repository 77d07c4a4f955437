"""Exporters of utilityfog: a page of Prometheus text, a file of JSON, several at once, and how often."""

from obs_middleware.export import Collected, Exporter, JsonFile, Textfile


class PrometheusAdapter(Textfile):
    """Prometheus text in a file that node-exporter reads."""

    name = "prometheus"


class JSONExporter(JsonFile):
    """A snapshot in a file: timestamp, metrics, events_count, running."""

    name = "json"


class MultiExporter:
    """Several exporters as one; each has its turn, also where another has failed."""

    name = "multi"

    def __init__(self, *exporters: Exporter) -> None:
        self.interval_seconds = min(exporter.interval_seconds for exporter in exporters)
        self._exporters = exporters

    def export(self, collected: Collected) -> None:
        """Export by all, then raise if any has failed: the library counts that, and tries again."""
        failures = []
        for exporter in self._exporters:
            try:
                exporter.export(collected)
            except Exception as error:
                failures.append(f"{exporter.name}: {error!r}")
        if failures:
            raise RuntimeError("; ".join(failures))


class PeriodicExporter:
    """Another exporter, as often as is said here."""

    def __init__(self, exporter: Exporter, *, interval_seconds: float) -> None:
        self.name = exporter.name
        self.interval_seconds = interval_seconds
        self._exporter = exporter

    def export(self, collected: Collected) -> object:
        return self._exporter.export(collected)
