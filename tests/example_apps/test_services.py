"""Each service alone, as its users see it."""

import itertools
import json
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
SECONDS = 60.0

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
    return httpx.request(method, service.url + path, json=json, trust_env=False, timeout=60.0)


@pytest.mark.parametrize("name", ["tokpulse", "audotics", "zerostate", "utilityfog"])
def test_a_service_alone_is_live_ready_and_names_its_responses(alone: Alone, name: str) -> None:
    service = alone[name]

    def statuses() -> list[int]:
        return [service.get(f"/health/{probe}").status_code for probe in ("live", "ready", "startup")]

    # Another test may have taken a part of it away.
    assert until(statuses, [200, 200, 200].__eq__, SECONDS) == [200, 200, 200]
    assert service.get("/nowhere").headers["X-Request-ID"]


def details(service: Running, path: str = "/health/ready") -> dict[str, Any]:
    checks: dict[str, Any] = service.get(path, token=HEALTH_TOKEN).json()["checks"]
    return {name: check for name, (check,) in checks.items()}


@pytest.mark.parametrize("name", FOUND)
def test_a_service_asks_each_part_that_it_depends_on(alone: Alone, name: str) -> None:
    found = until(
        lambda: {part: check["status"] for part, check in details(alone[name]).items()},
        lambda seen: FOUND[name].items() <= seen.items(),
        SECONDS,
    )
    assert FOUND[name].items() <= found.items()
    assert set(found) - set(FOUND[name]) <= {"disk", "pushgateway"}

    def shown() -> dict[str, float]:
        page = pages.read(alone[name])
        return {one: pages.total(page, "health_status", component=one) for one in FOUND[name]}

    wanted = {component: {"pass": 1.0, "warn": 2.0}[status] for component, status in FOUND[name].items()}
    assert until(shown, wanted.__eq__, SECONDS) == wanted
    page = pages.read(alone[name])
    for component, status in FOUND[name].items():
        assert pages.total(page, "health_checks_total", component=component, status="pass") >= (
            status == "pass"
        )
        assert pages.total(page, "health_check_duration_seconds_count", component=component) >= 1


@pytest.mark.parametrize("name", ["tokpulse", "audotics", "zerostate", "utilityfog"])
def test_a_request_leaves_one_access_line_whatever_the_server_logs(alone: Alone, name: str) -> None:
    alone[name].get("/looked-for-once")
    lines = until(
        lambda: [x for x in alone[name].log.read_text().splitlines() if "/looked-for-once" in x],
        bool,
        SECONDS,
    )
    access = [line for line in map(json.loads, lines) if line["logger"] == "obs.access"]
    assert [(line["service"], line["status"], line["outcome"]) for line in access] == [(name, 404, "ok")]


@pytest.mark.once
@pytest.mark.timeout(400)
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
            traces = {int(found["trace_id"], 16) for found in exemplars}  # those of other tests' requests too
            assert traces & set(range(1, len(answers) + 1))
