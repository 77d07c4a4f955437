"""Textfile writes what node-exporter takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from obs_middleware import ConfigError
from obs_middleware.export import Textfile
from tests.core.support import observer


class Custom:
    """A collector with timestamps, and with what prometheus-client and node-exporter both tell of their process."""

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Any:
        yield GaugeMetricFamily("process_open_fds", "Of node-exporter too.", 7)
        yield CounterMetricFamily("process_cpu_seconds_total", "Of node-exporter too.", 7)
        family = GaugeMetricFamily("temperature_celsius", "Measured elsewhere.", labels=["service"])
        family.add_metric(["of its own"], 21.5, timestamp=1e9)
        yield family


def test_textfile_has_the_service_on_each_series_and_no_timestamp(tmp_path: Path) -> None:
    own = observer(service_name="shop")
    own.registry.register(Custom())
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc()
    own.exporters.add(Textfile(tmp_path / "shop.prom"))
    assert own.exporters.push()
    text = (tmp_path / "shop.prom").read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = [sample for family in families.values() for sample in family.samples]
    assert 'orders_total{plan="free",service="shop"} 1.0' in text
    assert 'temperature_celsius{service="of its own"} 21.5\n' in text
    assert all(sample.labels["service"] and sample.timestamp is None for sample in samples)
    assert not [name for name in families if name.startswith("process_")]


@pytest.mark.parametrize(
    "name", ["node_heartbeats", "go_live", "promhttp_x", "process_orders", "process_open"]
)
def test_metrics_of_the_apps_own_stay_whatever_their_names_begin_with(name: str, tmp_path: Path) -> None:
    own = observer(service_name="shop")
    own.metrics.gauge(name, "Of the app.").set(3)
    own.exporters.add(Textfile(tmp_path / "shop.prom"))
    assert own.exporters.push()
    assert f'{name}{{service="shop"}} 3.0\n' in (tmp_path / "shop.prom").read_text()


def test_labels_of_a_textfile_can_be_chosen(tmp_path: Path) -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.").inc()
    own.exporters.add(Textfile(str(tmp_path / "shop.prom"), labels={"team": "a"}))
    assert own.exporters.push()
    assert 'orders_total{team="a"} 1.0' in (tmp_path / "shop.prom").read_text()


@pytest.mark.parametrize("path", ["shop", "shop.txt", "/var/lib/shop.prom.tmp", ""])
def test_a_textfile_that_node_exporter_would_not_read_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"Textfile wants (a|the) path .*\.prom"):
        Textfile(path)
