"""A lone surrogate, as JSON or a file name may bring one, costs no page and no export."""

from __future__ import annotations

import json
from pathlib import Path

import prometheus_client
import pytest

from obs_middleware.encodable import encodable
from obs_middleware.export import JsonFile, Textfile
from tests.core.metrics.scraping import page, value
from tests.core.support import observer

LONE = json.loads('"caf\\ud800"')
SHOWN = "caf\\ud800"


@pytest.mark.parametrize(("text", "fit"), [("a", "a"), ("é😀", "é😀"), ("\ud800é", "\\ud800é")])
def test_only_lone_surrogates_become_escapes(text: str, fit: str) -> None:
    assert encodable(text) == fit


def test_every_page_and_file_has_a_series_with_a_lone_surrogate(tmp_path: Path) -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"])
    for _ in range(2):
        orders.labels(LONE).inc()
    orders.labels(plan=LONE).inc()
    own.metrics.info("build", "Build.").info({"branch": LONE, "number": 7})
    own.events.record(LONE)
    own.metrics.count_export_failure(LONE)
    own.exporters.add(Textfile(tmp_path / "a.prom"), JsonFile(tmp_path / "a.json"))
    assert own.exporters.push()
    assert value(own, "orders_total", plan=SHOWN) == 3
    for text in (page(own), (tmp_path / "a.prom").read_text()):
        assert 'plan="caf\\\\ud800"' in text
        assert 'branch="caf\\\\ud800",number="7"' in text
        assert 'telemetry_events_total{event="caf\\\\ud800"' in text
        assert 'obs_export_failures_total{exporter="caf\\\\ud800"' in text
    written = json.loads((tmp_path / "a.json").read_text())["metrics"]["orders"]["samples"]
    assert written[0]["labels"] == {"plan": SHOWN}
    assert own.events.recent()[0].name == SHOWN


@pytest.mark.parametrize("place", ["target_info", "series"])
def test_service_with_a_lone_surrogate_is_on_the_page(place: str) -> None:
    own = observer(service_name=LONE, metrics_default_labels=place)
    own.metrics.counter("orders", "Orders.").inc()
    assert 'service="caf\\\\ud800"' in page(own)


def test_series_with_a_lone_surrogate_can_be_removed() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"], max_series=1)
    orders.labels(LONE).inc()
    orders.remove(LONE)
    orders.labels("free").inc()
    assert value(own, "orders_total", plan="free") == 1
    if hasattr(prometheus_client.Counter, "remove_by_labels"):
        orders.clear()
        orders.labels(LONE).inc()
        orders.remove_by_labels({"plan": LONE})
        orders.labels("paid").inc()
        assert value(own, "orders_total", plan="paid") == 1
        assert value(own, "orders_total", plan=SHOWN) is None
