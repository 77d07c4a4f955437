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
from example_apps.demo.services import HEALTH_TOKEN, METRICS_TOKEN
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
        "p2p_connectivity": "pass",
        "utilityfog": "warn",
        "guild_manager": "pass",
        "payment_channels": "pass",
        "wasm_runtime": "pass",
        "migrations": "pass",
    },
    "utilityfog": {"database": "pass", "event_loop": "pass", "coordination": "pass"},
}


def send(service: Running, method: str, path: str, json: Any = None) -> httpx.Response:
    return httpx.request(method, service.url + path, json=json, trust_env=False, timeout=10.0)


def order(order_id: str, *, store_id: str = "vinyl-cave") -> dict[str, Any]:
    return {"order_id": order_id, "store_id": store_id, "lines": [1.0, 2.0], "total": 3.0, "customer": {}}


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


@pytest.mark.parametrize("name", ["tokpulse", "audotics", "zerostate", "utilityfog"])
def test_a_request_leaves_one_access_line_whatever_the_server_logs(alone: Alone, name: str) -> None:
    alone[name].get("/looked-for-once")
    lines = until(
        lambda: [x for x in alone[name].log.read_text().splitlines() if "/looked-for-once" in x], bool
    )
    access = [line for line in map(json.loads, lines) if line["logger"] == "obs.access"]
    assert [(line["service"], line["status"], line["outcome"]) for line in access] == [(name, 404, "ok")]


def test_tokpulse_processes_a_webhook_once(alone: Alone) -> None:
    answers = [
        send(alone["tokpulse"], "POST", "/webhooks/orders-paid", order("once")).json() for _ in range(2)
    ]
    assert [answer["status"] for answer in answers] == ["processed", "duplicate"]


def test_tokpulse_counts_all_unknown_stores_as_one(alone: Alone) -> None:
    for number in range(3):
        store = f"unheard-of-{number}"
        send(alone["tokpulse"], "POST", "/webhooks/orders-cancelled", order(store, store_id=store))
    page = pages.read(alone["tokpulse"])
    assert (
        pages.total(page, "tokpulse_webhook_processed_total", topic="orders-cancelled", storeId="other") == 3
    )
    assert "unheard-of" not in page


def test_tokpulse_measures_webhooks_by_store_and_says_how_many_come_again(alone: Alone) -> None:
    for _ in range(4):
        send(alone["tokpulse"], "POST", "/webhooks/orders-cancelled", order("again", store_id="tape-heads"))
    page = pages.read(alone["tokpulse"])
    of_store = {"topic": "orders-cancelled", "storeId": "tape-heads"}
    assert pages.total(page, "tokpulse_webhook_processed_total", status="ok", **of_store) == 1
    assert pages.total(page, "tokpulse_webhook_processed_total", status="duplicate", **of_store) == 3
    assert pages.total(page, "tokpulse_webhook_processing_duration_seconds_count", **of_store) == 4
    assert pages.total(page, "tokpulse_webhook_redelivery_rate", **of_store) == 0.75
    assert (
        pages.total(
            page,
            "tokpulse_tenant_events_total",
            storeId="tape-heads",
            orgId="tape-heads",
            eventType="webhook",
        )
        == 4
    )
    assert pages.total(page, "telemetry_events_total", event="webhook") >= 4


def test_tokpulse_counts_its_api_by_route_status_and_store(alone: Alone) -> None:
    tokpulse = alone["tokpulse"]
    tokpulse.get("/widgets/product?store_id=north-records")
    tokpulse.get("/widgets/garage?store_id=north-records")
    tokpulse.get("/nowhere/at/all")
    page = pages.read(tokpulse)

    def requests(**labels: str) -> float:
        return pages.total(page, "tokpulse_api_requests_total", method="GET", **labels)

    widget = "/widgets/{surface}"
    assert requests(route=widget, code="200", storeId="north-records") == 1
    assert requests(route=widget, code="422", storeId="none") == 1
    assert requests(route="other", code="404", storeId="none") >= 1
    assert (
        pages.total(
            page, "tokpulse_api_request_duration_seconds_count", route=widget, storeId="north-records"
        )
        == 1
    )
    assert pages.total(page, "tokpulse_api_active_connections") == 0
    assert (
        pages.total(page, "tokpulse_widget_render_ms_count", surface="product", storeId="north-records") == 1
    )


def test_tokpulse_counts_widgets_that_fail_by_their_error(alone: Alone) -> None:
    tokpulse = alone["tokpulse"]
    with deliveries_gone(tokpulse):
        assert tokpulse.get("/widgets/cart?store_id=vinyl-cave").status_code == 500
    page = pages.read(tokpulse)
    of_store = {"surface": "cart", "storeId": "vinyl-cave"}
    assert pages.total(page, "tokpulse_widget_errors_total", errorType="OperationalError", **of_store) == 1
    assert pages.total(page, "tokpulse_widget_render_ms_count", **of_store) == 0
    assert pages.total(page, "tokpulse_api_requests_total", code="500", storeId="vinyl-cave") == 1


@contextmanager
def deliveries_gone(tokpulse: Running) -> Iterator[None]:
    """Rename the table of the deliveries for a while."""
    with closing(sqlite3.connect(tokpulse.database)) as database:
        database.execute("ALTER TABLE deliveries RENAME TO away")
        try:
            yield
        finally:
            database.execute("ALTER TABLE away RENAME TO deliveries")


def test_tokpulse_shows_its_metrics_to_who_has_the_token(alone: Alone) -> None:
    tokens = ("", "wrong", METRICS_TOKEN)
    answers = [alone["tokpulse"].get("/internal/metrics", token=token).status_code for token in tokens]
    assert answers == [401, 401, 200]


def test_tokpulse_renders_widgets_with_names_escaped(alone: Alone) -> None:
    answer = alone["tokpulse"].get("/widgets/cart?store_id=tape-heads")
    assert answer.headers["content-type"].startswith("text/html")
    assert "Tape Heads" in answer.text


def test_audotics_does_not_recommend_what_was_played(alone: Alone) -> None:
    for song_id in (1, 2):
        send(alone["audotics"], "POST", "/plays", {"song_id": song_id, "listener_id": "ann"})
    songs = alone["audotics"].get("/recommendations/ann?limit=9").json()["songs"]
    assert [song["id"] for song in songs] == [3, 4, 5, 6]


def test_audotics_counts_plays_and_the_listeners_of_the_last_minutes(alone: Alone) -> None:
    before = pages.total(pages.read(alone["audotics"]), "song_plays_total")
    send(alone["audotics"], "POST", "/plays", {"song_id": 3, "listener_id": "bob"})
    page = pages.read(alone["audotics"])
    assert pages.total(page, "song_plays_total") == before + 1
    assert pages.total(page, "active_users") >= 1
    assert pages.label_values(page, "song_plays_total", "environment") == {"development"}
    assert pages.label_values(page, "active_users", "service") == {"audotics"}
    assert all(pages.label_values(page, "song_plays_total", label) for label in ("version", "instance"))


def test_audotics_counts_as_one_what_its_two_workers_serve(alone: Alone) -> None:
    audotics = alone["audotics"]
    before = pages.total(pages.read(audotics), "song_plays_total")
    for number in range(12):
        send(audotics, "POST", "/plays", {"song_id": 4, "listener_id": f"crowd-{number}"})
    seen = [pages.total(pages.read(audotics), "song_plays_total") - before for _ in range(4)]
    assert seen == [12] * 4
    assert pages.label_values(pages.read(audotics), "process_start_time_seconds", "worker") == {"1", "2"}


def test_audotics_has_the_classic_names_beside_the_new_ones(alone: Alone) -> None:
    audotics = alone["audotics"]
    for path in ("/recommendations/cleo?limit=2", "/songs/99"):
        audotics.get(path)
    page = pages.read(audotics)
    route = {"method": "GET", "path": "/recommendations/<listener_id>"}
    assert pages.total(page, "http_requests_total", status="200", **route) >= 1
    assert pages.total(page, "http_request_duration_seconds_count", **route) >= 1
    assert pages.total(page, "http_requests_total", path="/songs/<int:song_id>", status="404") == 1
    assert pages.route(page, "GET", route["path"]).count >= 1
    made = pages.total(page, "recommendation_generation_duration_seconds_count")
    assert 2 <= pages.total(page, "recommendations_generated_total") <= made * 9


def test_audotics_recommends_also_without_zerostate_and_counts_that(alone: Alone) -> None:
    audotics = alone["audotics"]
    before = pages.total(pages.read(audotics), "recommendation_errors_total")
    assert len(audotics.get("/recommendations/dora").json()["songs"]) == 3
    assert pages.total(pages.read(audotics), "recommendation_errors_total") == before + 1


def test_audotics_pushes_its_metrics_to_a_pushgateway(alone: Alone, pushgateway: str) -> None:
    if not pushgateway:
        pytest.skip("no prometheus-pushgateway here (scripts/fetch-debian-testing)")
    alone["audotics"].get("/songs/1")
    page = until(
        lambda: httpx.get(f"{pushgateway}/metrics", trust_env=False).text,
        lambda found: bool(pages.label_values(found, "song_plays_total", "job")),
    )
    assert pages.label_values(page, "song_plays_total", "job") == {"audotics"}


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
