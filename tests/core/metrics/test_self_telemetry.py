"""What the metrics tell of themselves: collections, how many metrics and series there are, what was lost."""

from __future__ import annotations

import io
import logging
import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from obs_middleware import Observer
from obs_middleware.logs.outputs import LineHandler
from obs_middleware.metrics.snapshot import Snapshot
from tests.core.metrics.scraping import OPENMETRICS, page, value
from tests.core.support import internal_errors, observer, serve

RUNS, SECONDS = "telemetry_collection_runs_total", "telemetry_collection_duration_seconds"
METRICS, SERIES = "telemetry_metrics_count", "telemetry_series"


def on(text: str, name: str) -> float:
    """Return a sample without labels of a page."""
    (found,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_page_says_how_many_metrics_and_series_it_has(accept: str) -> None:
    own = observer(log_setup=False)
    Gauge("mine", 'A line\n# TYPE of "text".', ("a",), registry=own.registry).labels("\n# TYPE b\n").set(1)
    serve(own, route="/items/{item_id}")
    text = page(own, accept=accept)
    lines = text.splitlines()
    assert on(text, METRICS) == sum(line.startswith("# TYPE ") for line in lines)
    assert on(text, SERIES) == sum(not line.startswith("#") for line in lines)
    assert text.count("# EOF") == bool(accept)


def test_a_snapshot_says_the_same_of_itself() -> None:
    own = observer(log_setup=False)
    families = own.metrics.snapshot()
    assert families[METRICS]["samples"][0]["value"] == len(families)
    assert families[SERIES]["samples"][0]["value"] == sum(
        map(len, (one["samples"] for one in families.values()))
    )


def test_each_collection_is_counted_with_its_time() -> None:
    own = observer(log_setup=False)
    assert [on(page(own), RUNS) for _ in range(3)] == [1, 2, 3]
    own.metrics.snapshot()
    assert value(own, RUNS) == 4
    assert value(own, f"{SECONDS}_count") == 4
    assert 0 < (value(own, f"{SECONDS}_sum") or 0) < 60


def test_the_page_of_a_registry_without_an_observer_is_prometheus_clients() -> None:
    registry = CollectorRegistry()
    Counter("orders", "Orders.", registry=registry)
    assert [family.name for family in Snapshot.of(registry)] == ["orders"]


@pytest.mark.parametrize("name", [SERIES, "telemetry_collection_runs", "obs_dropped"])
def test_a_name_that_the_app_has_taken_stays_the_apps(name: str) -> None:
    registry = CollectorRegistry()
    Gauge(name, "Mine.", registry=registry).set(7)
    own = observer(registry=registry, log_setup=False)
    assert on(page(own), name) == 7
    assert internal_errors(own, "self_telemetry") == 1


def test_two_observers_of_a_registry_count_a_collection_once() -> None:
    registry = CollectorRegistry()
    own = [observer(registry=registry, log_setup=False) for _ in range(2)]
    assert on(page(own[1]), RUNS) == 1


def lost(own: Observer, signal: str) -> float:
    return value(own, "obs_dropped_total", signal=signal) or 0.0


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("no space left on device")


def test_lines_that_can_not_be_written_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    own, handler = observer(log_setup=False), LineHandler(Full())
    monkeypatch.setattr(logging, "raiseExceptions", False)
    before = lost(own, "log_lines")
    handler.handle(logging.LogRecord("shop", logging.INFO, "", 1, "sold", None, None))
    with pytest.raises(OSError, match="no space"):
        handler.write([b"one\ntwo\n", b"three\n"])
    assert lost(own, "log_lines") == before + 3
