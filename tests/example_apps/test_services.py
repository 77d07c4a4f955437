"""Each service alone, as its users see it."""

import json
from typing import Any

import httpx
import pytest

from example_apps.demo import pages
from example_apps.demo.processes import Running
from example_apps.demo.services import METRICS_TOKEN
from example_apps.demo.waiting import until

Alone = dict[str, Running]


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
    assert pages.total(pages.read(utilityfog), "coordination_active_nodes") == 12


def test_utilityfog_refuses_a_message_of_an_unknown_kind(alone: Alone) -> None:
    assert send(alone["utilityfog"], "POST", "/messages", {"kind": "gossip"}).status_code == 422
