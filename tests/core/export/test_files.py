"""Textfile and JsonFile write whole files, as node-exporter and other readers want them."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from obs_middleware import ConfigError
from obs_middleware.export import JsonFile, Textfile
from tests.core.support import caught, observer


class Custom:
    """A collector with timestamps, and with what node-exporter tells of itself."""

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Any:
        yield GaugeMetricFamily("process_open_fds", "Of node-exporter too.", 7)
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
    assert "process_open_fds" not in families


def test_labels_of_a_textfile_can_be_chosen(tmp_path: Path) -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.").inc()
    own.exporters.add(Textfile(str(tmp_path / "shop.prom"), labels={"team": "a"}))
    assert own.exporters.push()
    assert 'orders_total{team="a"} 1.0' in (tmp_path / "shop.prom").read_text()


@pytest.mark.parametrize("path", ["shop", "shop.txt", "/var/lib/shop.prom.tmp", ""])
def test_a_textfile_that_node_exporter_would_not_read_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.prom"):
        Textfile(path)


def test_json_file_has_the_fields_that_a_reader_expects(tmp_path: Path) -> None:
    own, file = observer(), tmp_path / "shop.json"
    own.metrics.gauge("odd", "Odd.", ["kind"]).labels("nan").set(math.nan)
    own.metrics.counter("orders", "Orders.").inc(3)
    own.events.record("opened")
    own.exporters.add(JsonFile(file))
    own.gateway.started()
    assert own.exporters.push()
    running = json.loads(file.read_text())
    assert set(running) == {"timestamp", "metrics", "events_count", "running"}
    assert running["metrics"]["orders"]["samples"][0] == {"name": "orders_total", "labels": {}, "value": 3.0}
    assert running["metrics"]["odd"]["samples"][0]["value"] is None
    assert (running["events_count"], running["running"]) == (1, True)
    own.close()
    stopped = json.loads(file.read_text())
    assert stopped["running"] is False
    assert stopped["timestamp"] > running["timestamp"]


def test_a_reader_never_sees_a_part_of_a_file(tmp_path: Path) -> None:
    own, file, seen = observer(), tmp_path / "shop.json", list[int]()
    wide = own.metrics.gauge("wide", "Wide.", ["n"])
    for number in range(300):
        wide.labels(number).set(number)
    own.exporters.add(JsonFile(file))
    own.exporters.push()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(json.loads(file.read_bytes())["metrics"]["wide"]["samples"]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        assert own.exporters.push()
    done.set()
    reader.join()
    assert set(seen) == {300}
    assert os.listdir(tmp_path) == ["shop.json"]


def test_a_file_that_can_not_be_written_is_a_failure_and_leaves_nothing(tmp_path: Path) -> None:
    own = observer()
    (tmp_path / "taken.prom").mkdir()
    own.exporters.add(Textfile(tmp_path / "none" / "shop.prom"), Textfile(tmp_path / "taken.prom"))
    with caught("obs") as lines:
        assert not own.exporters.push()
    assert own.registry.get_sample_value("obs_export_failures_total", {"exporter": "textfile"}) == 2
    assert any("No such file or directory" in line for line in lines.lines)
    assert os.listdir(tmp_path) == ["taken.prom"]
