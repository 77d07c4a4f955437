"""The four services and a troubled one, scraped by Prometheus while they get traffic: what dashboards are shown on.

Each call is sent in two rounds with scrapes between them, because a rate wants a series to be there before it rises.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from websockets.sync.client import connect

from example_apps.demo import plan, processes, services, traffic
from example_apps.demo.processes import Running
from example_apps.demo.traffic import Call
from tests import installed, scrapers
from tests import running as servers
from tests.example_apps import scraped
from tests.installed import ROOT
from tests.running import Server
from tests.scrapers import Target

CLIENTS = 6
PATIENCE_SECONDS = 60.0
# No collector is there, so that spans are lost; all are sampled, so that there are exemplars.
ENVIRONMENT = {
    "OBS_TRACE_SAMPLE_RATIO": "1",
    "OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
}
# What each service answers with 500, or as degraded, while its database is not there.
WITHOUT_DATABASE = (
    ("tokpulse", "/widgets/home?store_id=vinyl-cave"),
    ("audotics", "/songs/1"),
    ("audotics", "/recommendations/night-owl"),
    ("zerostate", "/guilds/rankers/"),
    ("utilityfog", "/nodes/1"),
)


@contextmanager
def observed(folder: Path, interval: str = "1s") -> Iterator[Server]:
    """Run all, send them traffic of all kinds, and give the Prometheus that has scraped it."""
    with ExitStack() as stack:
        running = stack.enter_context(_services(folder))
        troubled = stack.enter_context(_troubled(folder))
        targets = [*scraped.targets_of(running), Target("troubled", troubled.port)]
        own = folder / "prometheus"
        own.mkdir()
        prometheus = stack.enter_context(scrapers.prometheus(targets, own, interval))
        scrapers.wait_until_up(prometheus, targets)
        for number in range(2):
            _send_all(running, number)
            _trouble(troubled)
            with _without_databases(running):
                _send(running, [_reading(*one) for one in WITHOUT_DATABASE * 3])
                wait_for_scrapes(prometheus)
            wait_for_scrapes(prometheus)
        yield prometheus


def wait_for_scrapes(prometheus: Server) -> None:
    """Wait until every target was scraped after now, and once more: a scrape may have been under way."""
    for _ in range(2):
        now, deadline = time.time(), time.monotonic() + PATIENCE_SECONDS
        while _oldest_scrape(prometheus) <= now:
            assert time.monotonic() < deadline, "a target was not scraped"
            time.sleep(0.1)


def _oldest_scrape(prometheus: Server) -> float:
    found = scrapers.ask(prometheus, "query", query="min(timestamp(up == 1))")["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _services(folder: Path) -> Iterator[dict[str, Running]]:
    chained = [
        replace(service, environment={**service.environment, **ENVIRONMENT}) for service in services.SERVICES
    ]
    own = folder / "services"
    own.mkdir()
    return processes.running({service.name: servers.free_port() for service in chained}, own, chained)


def _troubled(folder: Path) -> Iterator[Server]:
    own = folder / "troubled"
    own.mkdir()
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "tests.example_apps.troubled_app:app"]
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    return servers.serve(command, folder=own, env=env, ready="/health/startup")


def _send_all(running: Mapping[str, Running], number: int) -> None:
    """Send the calls of the tour, and some that are new in each round and so go through all services."""
    new = [call for each in range(4) for call in scraped.calls(100 * number + each)]
    _send(running, [*plan.all_calls(), *new])


def _send(running: Mapping[str, Running], calls: Sequence[Call]) -> None:
    """Send calls whatever is answered: what comes of them is others' to test."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(trust_env=False, timeout=20.0, limits=limits) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        list(pool.map(lambda call: traffic.send(call, running, client), calls))


def _reading(service: str, path: str) -> Call:
    return Call(service, "GET", path, 500, ())


def _trouble(troubled: Server) -> None:
    with connect(f"ws://127.0.0.1:{troubled.port}/echo") as socket:
        for who in "abcdef":
            socket.send(who)
            socket.recv()


@contextmanager
def _without_databases(running: Mapping[str, Running]) -> Iterator[None]:
    """Move the databases away: requests fail, components turn unhealthy, hooks that read at a scrape raise."""
    paths = [one.database for one in running.values()]
    for path in paths:
        os.replace(path, path.with_suffix(".away"))
    try:
        yield
    finally:
        for path in paths:
            os.replace(path.with_suffix(".away"), path)
