"""What utilityfog tells of itself beyond the one line: its Observer, its collector, and what they are hooked to."""

import os

from example_apps.utilityfog.collector import TelemetryCollector
from example_apps.utilityfog.exporters import JSONExporter, MultiExporter, PeriodicExporter, PrometheusAdapter
from example_apps.utilityfog.hooks import setup_coordination_hooks, setup_health_hooks, setup_messaging_hooks
from example_apps.utilityfog.tree import tree
from obs_middleware import Observer

INTERVAL_SECONDS = float(os.environ.get("UTILITYFOG_INTERVAL_SECONDS", "15"))  # between two collections

observer = Observer(service_name="utilityfog")
collector = TelemetryCollector(observer, interval_seconds=INTERVAL_SECONDS)
setup_coordination_hooks(collector, tree)
setup_messaging_hooks(collector, tree)
setup_health_hooks(collector, observer)

if folder := os.environ.get("UTILITYFOG_EXPORTS"):  # for node-exporter, and for whoever reads JSON
    files = MultiExporter(
        PrometheusAdapter(f"{folder}/utilityfog.prom"), JSONExporter(f"{folder}/utilityfog.json")
    )
    collector.add_exporter(PeriodicExporter(files, interval_seconds=INTERVAL_SECONDS))
