"""Each service alone, as its users see it."""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from example_apps.demo import pages
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.demo.waiting import until
from tests import scrapers
from tests.example_apps import scraped

Alone = dict[str, Running]

# Of each service alone, which is told of others that do not answer.
FOUND = {
    "tokpulse": {"database": "pass", "event_loop": "pass"},
    "audotics": {"database": "pass", "zerostate": "warn"},
    "zerostate": {
        "database:default": "pass",
        "storage": "pass",
        "p2p_connectivity": "warn",
        "guild_manager": "pass",
        "payment_channels": "pass",
        "wasm_runtime": "pass",
        "migrations": "pass",
    },
    "utilityfog": {"database": "pass", "event_loop": "pass", "coordination": "pass"},
}


def send(service: Running, method: str, path: str, json: Any = None) -> httpx.Response:
    return httpx.request(method, service.url + path, json=json, trust_env=False, timeout=10.0)


@pytest.mark.parametrize("name", ["tokpulse", "audotics", "zerostate", "utilityfog"])
def test_a_service_alone_is_live_ready_and_names_its_responses(alone: Alone, name: str) -> None:
    service = alone[name]
    assert [service.get(f"/health/{probe}").status_code for probe in ("live", "ready", "startup")] == [
        200
    ] * 3
    assert service.get("/nowhere").headers["X-Request-ID"]


def details(service: Running, path: str = "/health/ready") -> dict[str, Any]:
    checks: dict[str, Any] = service.get(path, token=HEALTH_TOKEN).json()["checks"]
    return {name: check for name, (check,) in checks.items()}


@pytest.mark.parametrize("name", FOUND)
def test_a_service_asks_each_part_that_it_depends_on(alone: Alone, name: str) -> None:
    with all_awake(alone["utilityfog"]):
        found = until(
            lambda: {part: check["status"] for part, check in details(alone[name]).items()},
            lambda seen: FOUND[name].items() <= seen.items(),
        )
    assert FOUND[name].items() <= found.items()
    assert set(found) - set(FOUND[name]) <= {"disk", "pushgateway"}
    page = pages.read(alone[name])
    for component, status in FOUND[name].items():
        assert pages.total(page, "health_status", component=component) == {"pass": 1, "warn": 2}[status]
        assert pages.total(page, "health_checks_total", component=component, status="pass") >= (
            status == "pass"
        )
        assert pages.total(page, "health_check_duration_seconds_count", component=component) >= 1


def test_zerostate_has_a_page_of_its_own_for_what_holds_its_data(alone: Alone) -> None:
    assert set(details(alone["zerostate"], "/health/data")) == {"storage", "migrations", "disk"}
    assert details(alone["zerostate"])["guild_manager"]["observedUnit"] == "active guilds"


def test_utilityfog_says_in_its_files_at_once_that_no_message_comes_through(alone: Alone) -> None:
    """It waits for two runs of a check, which come each second."""
    file = alone["utilityfog"].directory / "utilityfog.prom"

    def number() -> float:
        alone["utilityfog"].get("/health/ready")
        return pages.total(file.read_text(), "health_status", component="coordination")

    with all_awake(alone["utilityfog"]) as nodes:
        assert until(number, lambda seen: seen == 1) == 1
        nodes.execute("UPDATE nodes SET state = 'asleep' WHERE parent_id IS NULL")
        assert until(number, lambda seen: seen == 2) == 2
        assert details(alone["utilityfog"])["coordination"]["output"] == "a message reaches 0 of 13 nodes"


@contextmanager
def all_awake(utilityfog: Running) -> Iterator[sqlite3.Connection]:
    """Have every node awake, before and after."""
    wake = "UPDATE nodes SET state = 'active'"
    with closing(sqlite3.connect(utilityfog.database, isolation_level=None)) as nodes:
        nodes.execute(wake)
        try:
            yield nodes
        finally:
            nodes.execute(wake)


@pytest.mark.parametrize("name", ["tokpulse", "audotics", "zerostate", "utilityfog"])
def test_a_request_leaves_one_access_line_whatever_the_server_logs(alone: Alone, name: str) -> None:
    alone[name].get("/looked-for-once")
    lines = until(
        lambda: [x for x in alone[name].log.read_text().splitlines() if "/looked-for-once" in x], bool
    )
    access = [line for line in map(json.loads, lines) if line["logger"] == "obs.access"]
    assert [(line["service"], line["status"], line["outcome"]) for line in access] == [(name, 404, "ok")]


def test_zerostate_runs_a_task_and_has_the_guild_pay_for_it(alone: Alone) -> None:
    zerostate = alone["zerostate"]
    before = zerostate.get("/guilds/rankers/").json()
    task = {"program": "rank", "values": [1, 3, 2]}
    assert send(zerostate, "POST", "/guilds/rankers/tasks/", task).json() == {"output": [1, 2, 0]}
    after = zerostate.get("/guilds/rankers/").json()
    assert after == {
        "name": "rankers",
        "balance_units": before["balance_units"] - 4,
        "tasks": before["tasks"] + 1,
    }


def test_zerostate_counts_its_tasks_and_what_they_cost(alone: Alone) -> None:
    zerostate = alone["zerostate"]
    before = pages.read(zerostate)
    for task in ({"program": "rank", "values": [1, 2]}, {"program": "mean", "values": []}):
        send(zerostate, "POST", "/guilds/rankers/tasks/", task)
    after = pages.read(zerostate)

    def more(name: str, **labels: str) -> float:
        return pages.total(after, f"zerostate_{name}", **labels) - pages.total(
            before, f"zerostate_{name}", **labels
        )

    statuses = ("submitted", "executing", "completed", "failed")
    assert [more("tasks_total", status=status) for status in statuses] == [2, 2, 1, 1]
    assert [more("task_cost_units_sum", type=kind) for kind in ("estimated", "actual")] == [4, 3]
    assert [more("wasm_exits_total", code=code) for code in ("0", "1")] == [1, 1]
    assert more("wasm_execution_duration_seconds_count") == 2
    assert [more("reputation_tasks_total", result=result) for result in ("success", "failed")] == [1, 1]
    assert [more("payments_total", status="success"), more("payment_amount_units_sum")] == [1, 3]
    assert [more("p2p_messages_total", status=status) for status in ("success", "error")] == [0, 1]
    assert more("p2p_operation_duration_seconds_count", operation="send") == 1


def test_zerostate_counts_the_guilds_of_its_database(alone: Alone) -> None:
    zerostate = alone["zerostate"]
    before = pages.read(zerostate)
    for _ in range(2):
        send(zerostate, "POST", "/guilds/", {"name": "counted-once"})
    after = pages.read(zerostate)
    assert pages.total(after, "zerostate_guild_creations_total") == 1 + pages.total(
        before, "zerostate_guild_creations_total"
    )
    assert pages.total(after, "zerostate_guild_total", state="active") == 1 + pages.total(
        before, "zerostate_guild_total", state="active"
    )
    assert pages.total(after, "telemetry_events_total", event="guild_created") >= 1


def test_zerostate_does_not_pay_more_than_there_is(alone: Alone) -> None:
    answer = send(
        alone["zerostate"], "POST", "/guilds/rankers/payments/", {"payee": "x", "amount_units": 10**9}
    )
    assert answer.status_code == 402
    assert pages.total(pages.read(alone["zerostate"]), "zerostate_payments_total", status="failed") >= 1


def test_zerostate_refuses_a_program_that_it_does_not_have(alone: Alone) -> None:
    answer = send(alone["zerostate"], "POST", "/guilds/rankers/tasks/", {"program": "mine", "values": []})
    assert (answer.status_code, answer.json()) == (422, {"error": "no such program; we have rank, mean"})


def test_utilityfog_does_not_reach_what_is_below_a_sleeping_node(alone: Alone) -> None:
    utilityfog = alone["utilityfog"]
    message = {"kind": "rebalance", "subject": "all"}
    assert send(utilityfog, "POST", "/messages", message).json() == {"delivered": 13}
    assert send(utilityfog, "PUT", "/nodes/1/state", {"state": "asleep"}).status_code == 204
    assert send(utilityfog, "POST", "/messages", message).json() == {"delivered": 9}
    page = pages.read(utilityfog)
    assert pages.total(page, "coordination_active_nodes") == 12
    assert pages.total(page, "coordination_messages_total", kind="rebalance") == 13 + 9
    assert pages.total(page, "coordination_message_latency_seconds_count") == 2
    assert pages.total(page, "messages_received_total", kind="rebalance") == 2
    assert pages.total(page, "messages_sent_total", kind="rebalance") == 12 + 8
    assert pages.total(page, "message_queue_size") == 0
    assert pages.total(page, "message_processing_duration_seconds_count") == 2
    assert pages.total(page, "telemetry_events_total", event="node_asleep") == 1


def test_utilityfog_counts_how_often_its_metrics_are_collected(alone: Alone) -> None:
    before, after = (
        pages.total(pages.read(alone["utilityfog"]), "telemetry_collection_runs_total") for _ in range(2)
    )
    assert after > before


def test_utilityfog_writes_its_metrics_to_files(alone: Alone) -> None:
    folder = alone["utilityfog"].directory
    text, values = folder / "utilityfog.prom", folder / "utilityfog.json"
    assert until(lambda: text.exists() and values.exists(), bool)
    assert pages.label_values(text.read_text(), "coordination_active_nodes", "service") == {"utilityfog"}
    written = json.loads(values.read_text())
    assert written["running"] is True
    assert "messages_received" in str(list(written["metrics"]))


def test_utilityfog_refuses_a_message_of_an_unknown_kind(alone: Alone) -> None:
    assert send(alone["utilityfog"], "POST", "/messages", {"kind": "gossip"}).status_code == 422


@pytest.mark.once
@pytest.mark.skipif(
    bool(scrapers.missing()), reason=f"not here: {scrapers.missing()} (scripts/fetch-debian-testing)"
)
def test_prometheus_and_victoria_metrics_store_what_the_clients_have_counted(
    alone: Alone, tmp_path: Path
) -> None:
    """Under load, with exemplars; `python -m tests.example_apps.scraped` does it for a minute, all with two workers.

    It takes seconds because Prometheus waits for five before its first scrape.
    """
    before = scraped.values_of(alone)
    with scraped.scraping(alone, tmp_path, "1s") as servers:
        answers = scraped.load(alone, itertools.islice(itertools.count(), 4))
        wanted = scraped.wanted_of(answers, chained=False)
        assert {
            name: scraped.wrong_in(server, alone, before, wanted) for name, server in servers.items()
        } == {
            "prometheus": [],
            "victoria_metrics": [],
        }
        for name, page in pages.read_all(alone).items():
            assert scraped.complaints(page) == set()
            exemplars = scraped.exemplars_of(servers["prometheus"], name)
            assert exemplars
            assert {int(found["trace_id"], 16) for found in exemplars} <= set(range(1, len(answers) + 1))
