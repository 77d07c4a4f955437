"""A family that no format can write costs its collector, on every page and in every export, and the rest is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from obs_middleware import Observer
from obs_middleware.export import JsonFile, OtlpMetrics, Textfile
from obs_middleware.metrics.exposition.formats import Protobuf
from obs_middleware.metrics.snapshot import Snapshot
from tests.core.export.receiving import receiver
from tests.core.export.test_otlp_metrics import of_request
from tests.core.support import caught, observer, request

ODD: dict[str, tuple[dict[Any, Any], Any]] = {
    "no value": ({"queue": "mail"}, None),
    "a text as value": ({"queue": "mail"}, "many"),
    "too much": ({"queue": "mail"}, 10**400),
    "a number as label": ({"queue": 8080}, 1.0),
    "a label without a name": ({"": "mail"}, 1.0),
    "the name of the metric": ({"__name__": "mail"}, 1.0),
}


class Of:
    """A collector of one sample."""

    def __init__(self, labels: dict[Any, Any], value: Any) -> None:
        self.labels, self.value = labels, value

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("oldest_seconds", "Of a queue.")
        family.add_sample("oldest_seconds", self.labels, self.value)
        yield family


def with_odd(labels: dict[Any, Any], value: Any) -> Observer:
    own = observer(service_name="shop")
    own.metrics.counter("orders", "Orders.").inc()
    own.registry.register(Of(labels, value))
    return own


def page(own: Observer, accept: str) -> str:
    asked = request(path="/metrics", headers={"accept": accept})
    return own.gateway.reply(asked, "/metrics").body.decode()


@pytest.mark.parametrize("odd", ODD)
def test_a_page_is_without_a_family_that_it_can_not_write(odd: str) -> None:
    own = with_odd(*ODD[odd])
    with caught("obs") as lines:
        for accept, parse in (("text/plain", prometheus), ("application/openmetrics-text", openmetrics)):
            names = {family.name for family in parse(page(own, accept))}
            assert "orders" in names
            assert "oldest_seconds" not in names
        found = b"".join(Snapshot.of(own.registry, own.gateway.report).messages(Protobuf(True)))
    assert (b"orders" in found, b"oldest_seconds" in found) == (True, False)
    assert "oldest_seconds" in lines.lines[0]
    assert own.registry.get_sample_value("obs_internal_errors_total", {"component": "collector"}) == 3


@pytest.mark.parametrize("odd", ODD)
def test_exports_are_without_it_too(odd: str, tmp_path: Path) -> None:
    own, text, values = with_odd(*ODD[odd]), tmp_path / "shop.prom", tmp_path / "shop.json"
    with receiver() as collector:
        own.exporters.add(Textfile(text), JsonFile(values), OtlpMetrics(collector.url))
        assert own.exporters.push()
        metrics, _ = of_request(collector.requests[0])
    in_text = {family.name for family in prometheus(text.read_text())}
    for names in (in_text, json.loads(values.read_text())["metrics"], metrics):
        assert "orders" in names
        assert "oldest_seconds" not in names


def test_lone_surrogates_are_escaped_everywhere(tmp_path: Path) -> None:
    own, text, values = with_odd({"queue": "\ud800"}, 2), tmp_path / "shop.prom", tmp_path / "shop.json"
    Counter("plain", "Of \udfff.", ["kind"], registry=own.registry).labels("\ud801").inc()
    own.exporters.add(Textfile(text), JsonFile(values))
    assert own.exporters.push()
    assert r'oldest_seconds{queue="\\ud800",service="shop"} 2.0' in text.read_text()
    metrics = json.loads(values.read_text())["metrics"]
    assert metrics["oldest_seconds"]["samples"][0] == {
        "name": "oldest_seconds",
        "labels": {"queue": r"\ud800"},
        "value": 2,
    }
    assert metrics["plain"]["documentation"] == r"Of \udfff."
    assert metrics["plain"]["samples"][0]["labels"] == {"kind": r"\ud801"}
    assert r'oldest_seconds{queue="\\ud800"} 2.0' in page(own, "")
