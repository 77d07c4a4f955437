"""utilityfog as its users see it: a tree of nodes that coordinate and fail, and the collector that tells of it."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from example_apps.demo import logs, pages, processes, services
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.demo.waiting import until
from example_apps.utilityfog.collector import Snapshot, TelemetryCollector
from example_apps.utilityfog.exporters import JSONExporter, MultiExporter, PeriodicExporter, PrometheusAdapter
from example_apps.utilityfog.tree import Tree
from obs_middleware import Observer
from tests.core.export.receiving import Receiver, receiver
from tests.running import free_port

PATIENCE_SECONDS = 60.0
MESSAGE = {"kind": "rebalance", "subject": "all"}


@pytest.fixture(scope="module")
def spans() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink


@pytest.fixture(scope="module")
def utilityfog(tmp_path_factory: pytest.TempPathFactory, spans: Receiver) -> Iterator[Running]:
    """Run it alone; it collects and exports each half second, and traces are brought to `spans` at once."""
    environment = {
        "UTILITYFOG_EXPORTS": ".",
        "UTILITYFOG_INTERVAL_SECONDS": "0.5",
        "OTLP_ENDPOINT": spans.url,
        "OBS_TRACE_SAMPLE_RATIO": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    (service,) = [one for one in services.SERVICES if one.name == "utilityfog"]
    lone = replace(service, app="tests.example_apps.patient_utilityfog:app", environment=environment)
    ports = {"utilityfog": free_port()}
    with processes.running(ports, tmp_path_factory.mktemp("utilityfog"), [lone]) as running:
        yield running["utilityfog"]


def send(service: Running, method: str, path: str, json: Any = None) -> httpx.Response:
    return httpx.request(method, service.url + path, json=json, trust_env=False, timeout=60.0)


def delivered(service: Running) -> int:
    return int(send(service, "POST", "/messages", MESSAGE).json()["delivered"])


@contextmanager
def asleep(service: Running, node: int) -> Iterator[None]:
    assert send(service, "PUT", f"/nodes/{node}/state", {"state": "asleep"}).status_code == 204
    try:
        yield
    finally:
        assert send(service, "PUT", f"/nodes/{node}/state", {"state": "active"}).status_code == 204


def test_a_message_goes_through_the_inboxes_of_all_nodes_and_is_counted(utilityfog: Running) -> None:
    before = pages.read(utilityfog)
    assert [delivered(utilityfog) for _ in range(2)] == [13, 13]
    after = pages.read(utilityfog)

    def more(name: str, **labels: str) -> float:
        return pages.total(after, name, **labels) - pages.total(before, name, **labels)

    assert more("coordination_messages_total", kind="rebalance") == 26
    assert more("coordination_message_latency_seconds_count") == 2
    assert more("messages_sent_total", kind="rebalance") == 26
    assert more("messages_received_total", kind="rebalance") == 26
    assert more("message_processing_duration_seconds_count") == 26
    assert pages.label_values(after, "message_queue_size", "le") == set()
    assert pages.total(after, "message_queue_size") == 0
    assert pages.total(after, "coordination_active_nodes") == 13


def test_a_sleeping_node_hides_those_below_it(utilityfog: Running) -> None:
    with asleep(utilityfog, 1):
        assert delivered(utilityfog) == 9
        page = pages.read(utilityfog)
        assert pages.total(page, "coordination_active_nodes") == 12
        assert pages.total(page, "telemetry_events_total", event="node_asleep") == 1
    assert delivered(utilityfog) == 13


def test_a_node_that_fails_is_not_waited_for_and_is_started_again(utilityfog: Running) -> None:
    """It takes a second, after which a node is started again."""
    failures = 0

    def without_node() -> int:
        """Make it fail, and tell whom a message reaches then; all, if that comes after it was started again."""
        nonlocal failures
        failures += 1
        assert send(utilityfog, "POST", "/nodes/2/failure").status_code == 202
        return delivered(utilityfog)

    assert until(without_node, lambda count: count < 13, PATIENCE_SECONDS) == 9
    assert until(lambda: delivered(utilityfog), lambda count: count == 13, PATIENCE_SECONDS) == 13
    page = pages.read(utilityfog)
    for event in ("node_failed", "node_restarted"):
        assert pages.total(page, "telemetry_events_total", event=event) == failures

    def lines(message: str) -> list[logs.Line]:
        def look() -> list[logs.Line]:
            return [line for line in logs.lines_of(utilityfog) if line["message"] == message]

        return until(look, lambda found: len(found) >= failures, PATIENCE_SECONDS)

    failed, recorded = lines("node failed"), lines("node_failed")
    assert len(failed) == len(recorded) == failures
    assert all(line["exception"]["type"].endswith("NodeFailed") for line in failed)
    wanted = {"node": 2, "why": "told to fail by a request"}
    assert all(line["event_labels"] == wanted for line in recorded)
    assert send(utilityfog, "GET", "/nodes/2").json()["state"] == "active"


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/messages", {"kind": "gossip"}, 422),
        ("POST", "/messages", ["gossip"], 422),
        ("POST", "/messages", None, 422),
        ("PUT", "/nodes/1/state", {"state": "dizzy"}, 422),
        ("PUT", "/nodes/99/state", {"state": "asleep"}, 404),
        ("POST", "/nodes/99/failure", None, 404),
        ("GET", "/nodes/99", None, 404),
    ],
)
def test_bad_input_is_refused(utilityfog: Running, method: str, path: str, content: Any, status: int) -> None:
    assert send(utilityfog, method, path, content).status_code == status


def test_a_listener_that_raises_keeps_no_other_from_being_told() -> None:
    own, heard = Tree(), list[str]()
    own.on("sent", lambda kind: 1 / 0)
    own.on("sent", lambda kind: heard.append(kind))
    own.tell("sent", kind="gossip")
    assert heard == ["gossip"]


def test_it_collects_each_interval_without_a_scrape(utilityfog: Running) -> None:
    """It waits for a collection, which comes each half second."""

    def page() -> str:
        return (utilityfog.directory / "utilityfog.prom").read_text()

    first = until(page, bool, PATIENCE_SECONDS)
    runs = pages.total(first, "telemetry_collection_runs_total")
    later = until(
        page, lambda text: pages.total(text, "telemetry_collection_runs_total") > runs, PATIENCE_SECONDS
    )
    assert pages.total(later, "telemetry_collection_runs_total") > runs
    assert pages.total(later, "telemetry_collection_duration_seconds_count") >= 1
    assert pages.total(later, "telemetry_metrics_count") > 10


def test_it_exports_prometheus_text_and_a_snapshot_in_json(utilityfog: Running) -> None:
    text, values = (utilityfog.directory / f"utilityfog.{end}" for end in ("prom", "json"))
    assert until(lambda: text.exists() and values.exists(), bool, PATIENCE_SECONDS)
    assert pages.label_values(text.read_text(), "coordination_active_nodes", "service") == {"utilityfog"}
    written = json.loads(values.read_text())
    assert set(written) == {"timestamp", "metrics", "events_count", "running"}
    assert written["running"] is True
    assert "message_queue_size" in written["metrics"]


def test_no_message_comes_through_shows_in_its_health_and_in_its_files(utilityfog: Running) -> None:
    """It waits for a run of a check, which comes each second."""

    def number() -> float:
        utilityfog.get("/health/ready")
        page = (utilityfog.directory / "utilityfog.prom").read_text()
        return pages.total(page, "health_status", component="coordination")

    assert until(number, lambda seen: seen == 1, PATIENCE_SECONDS) == 1
    with asleep(utilityfog, 0):
        assert until(number, lambda seen: seen == 2, PATIENCE_SECONDS) == 2
        checks = utilityfog.get("/health/ready", token=HEALTH_TOKEN).json()["checks"]
        assert checks["coordination"][0]["output"] == "a message reaches 0 of 13 nodes"
        assert delivered(utilityfog) == 0
    page = pages.read(utilityfog)
    assert pages.total(page, "health_checks_total", component="coordination") >= 1
    assert pages.total(page, "health_check_duration_seconds_count", component="coordination") >= 1


def test_a_message_is_one_trace_through_all_nodes(utilityfog: Running, spans: Receiver) -> None:
    trace_id, parent = "9" * 32, f"00-{'9' * 32}-{'8' * 16}-01"
    httpx.post(
        f"{utilityfog.url}/messages",
        json=MESSAGE,
        headers={"traceparent": parent},
        trust_env=False,
        timeout=60.0,
    )
    wanted = {"coordination.spread": 1, "node.process": 13, "POST /messages": 1}
    found = until(lambda: names_of_trace(spans, trace_id), wanted.__eq__, PATIENCE_SECONDS)
    assert found == wanted


def names_of_trace(spans: Receiver, trace_id: str) -> dict[str, int]:
    """Count the spans of a trace by their names."""
    return Counter(
        span.name
        for request in list(spans.requests)
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == trace_id
    )


def test_messages_are_kept_in_its_storage(utilityfog: Running) -> None:
    with closing(sqlite3.connect(utilityfog.database, timeout=60)) as database:
        before = database.execute("SELECT count(*) FROM messages").fetchone()[0]
        count = delivered(utilityfog)
        assert database.execute("SELECT count(*) FROM messages").fetchone()[0] == before + count


@pytest.fixture
def collector() -> Iterator[TelemetryCollector]:
    observer = Observer(service_name="tried", registry=CollectorRegistry(), log_setup=False)
    collector = TelemetryCollector(observer, interval_seconds=60)
    yield collector
    observer.close()


def test_a_collector_counts_from_many_threads_and_its_hooks_get_each_snapshot(
    collector: TelemetryCollector,
) -> None:
    seen: list[Snapshot] = []
    counter = collector.register_counter("things", "Things.", ["kind"])
    gauge = collector.register_gauge("level", "Level.")
    histogram = collector.register_histogram("size", "Size.")
    collector.register_gauge("asked", "Asked at each collection.", lambda: 7.0)
    collector.add_hook(seen.append)

    def count(number: int) -> None:
        for _ in range(100):
            counter.labels("good").inc()
            collector.record_event("counted", number, {"thread": number}, {"n": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    gauge.set(3)
    histogram.observe(0.5)
    assert collector.export_now()
    assert seen == [collector.latest]
    found = {
        sample["name"]: sample["value"]
        for family in seen[0]["metrics"].values()
        for sample in family["samples"]
    }
    assert [found[name] for name in ("things_total", "level", "size_count", "asked")] == [800, 3, 1, 7]
    assert seen[0]["events_count"] == 800
    assert set(collector.snapshot()) == set(seen[0]) == {"timestamp", "metrics", "events_count", "running"}


def test_several_exporters_each_have_their_turn_also_where_one_fails(
    collector: TelemetryCollector, tmp_path: Path
) -> None:
    (tmp_path / "taken.prom").mkdir()
    files = MultiExporter(PrometheusAdapter(tmp_path / "taken.prom"), JSONExporter(tmp_path / "all.json"))
    periodic = PeriodicExporter(files, interval_seconds=5)
    collector.add_exporter(periodic)
    assert (periodic.name, periodic.interval_seconds, files.interval_seconds) == ("multi", 5, 15)
    assert not collector.export_now()
    assert json.loads((tmp_path / "all.json").read_text())["metrics"]
    (tmp_path / "taken.prom").rmdir()
    assert collector.export_now()
    assert (tmp_path / "taken.prom").read_text().startswith("# HELP")
