"""A real Prometheus scrapes a running app: our series, our exemplars, and a page that its own linter finds clean."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import installed, running, scrapers
from tests.installed import ROOT
from tests.running import Server
from tests.scrapers import PROMETHEUS, PROMTOOL, Target, ask, eventually

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None,
    reason="no prometheus and promtool here (scripts/fetch-debian-testing, or apt-get install prometheus): "
    "not seen is that a real scraper takes the page, its exemplars and its names",
)
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
DURATION = "http_server_request_duration_seconds"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app under uvicorn; it has served some requests."""
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "tests.real.prometheus_app:app"]
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    with running.serve(command, folder=tmp_path_factory.mktemp("app"), env=env) as server:
        for path in ("/items/1", "/items/2", "/items/3", "/boom", "/nothing"):
            server.get(path)
        server.access(5)
        yield server


@pytest.fixture(scope="module")
def prometheus(app: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Prometheus, set to scrape the app four times a second."""
    with scrapers.prometheus([Target("shop", app.port)], tmp_path_factory.mktemp("prometheus")) as server:
        yield server


def found(prometheus: Server, query: str) -> dict[str, Any]:
    """Return the one series that a query gives; there is none while the last scrape came too late."""
    (one,) = eventually(lambda: ask(prometheus, "query", query=query)["result"])
    return dict(one)


def test_the_target_is_up_and_no_scrape_fails(prometheus: Server) -> None:
    (target,) = eventually(
        lambda: [one for one in ask(prometheus, "targets")["activeTargets"] if one["health"] == "up"]
    )
    assert target["lastError"] == ""


def test_our_series_are_there(prometheus: Server) -> None:
    """Counts by route, status and error, as a dashboard asks for them."""

    def counts() -> dict[tuple[str, ...], float]:
        query = f"sum by (http_route, http_response_status_code, error_type) ({DURATION}_count)"
        return {
            tuple(
                one["metric"].get(name, "")
                for name in ("http_route", "http_response_status_code", "error_type")
            ): (float(one["value"][1]))
            for one in ask(prometheus, "query", query=query)["result"]
        }

    assert eventually(counts) == {
        ("/items/{i}", "200", ""): 3,
        ("/boom", "500", "LookupError"): 1,
        ("", "404", ""): 1,
    }


def test_scrapes_are_not_counted(app: Server, prometheus: Server) -> None:
    """However often it asks, the app has served what it has served."""
    found(prometheus, f"sum({DURATION}_count)")
    time.sleep(0.6)
    total = found(prometheus, f"sum({DURATION}_count)")
    active = found(prometheus, "sum(http_server_active_requests)")
    assert (total["value"][1], active["value"][1]) == ("5", "0")


def test_a_quantile_can_be_asked_for(prometheus: Server) -> None:
    """The buckets are whole and in order: the classic query has an answer."""
    quantile = found(prometheus, f"histogram_quantile(0.95, sum by (le) ({DURATION}_bucket))")
    assert 0 < float(quantile["value"][1]) <= 10


def test_an_exemplar_leads_to_the_trace(app: Server, prometheus: Server) -> None:
    """Stored by Prometheus, with the trace ID of a request that the log knows."""
    now = time.time()

    def exemplars() -> list[Any]:
        span = {"start": now - 600, "end": now + 600}
        answer = ask(prometheus, "query_exemplars", query=f"{DURATION}_bucket", **span)
        return [exemplar for series in answer for exemplar in series["exemplars"]]

    logged = {line["trace_id"] for line in app.access(5)}
    stored = eventually(exemplars)
    assert {exemplar["labels"]["trace_id"] for exemplar in stored} <= logged
    assert all(len(exemplar["labels"]["span_id"]) == 16 for exemplar in stored)


def test_openmetrics_is_what_prometheus_is_given(app: Server) -> None:
    """Asked as Prometheus asks; the end is marked, and exemplars are there and nowhere else."""
    accept = (
        f"{OPEN_METRICS},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5"
    )
    page, plain = app.get("/metrics", Accept=accept), app.get("/metrics")
    assert page.headers["Content-Type"].startswith(OPEN_METRICS)
    assert page.body.endswith(b"# EOF\n")
    assert b"# {" in page.body
    assert plain.headers["Content-Type"].startswith("text/plain")
    assert b"# {" not in plain.body


def test_the_linter_of_prometheus_finds_nothing(app: Server) -> None:
    """`promtool check metrics`: names, units, suffixes, help texts of every metric that is ours."""
    page = app.get("/metrics").body
    done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=page, capture_output=True, timeout=60)
    assert done.returncode in (0, 3), done.stderr  # 3: there are complaints, of whomever
    ours = [line for line in done.stderr.decode().splitlines() if line.startswith(("http_server", "obs_"))]
    assert ours == []
