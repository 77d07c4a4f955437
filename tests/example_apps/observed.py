"""The four services and a troubled one, scraped by Prometheus while they get traffic: what dashboards are shown on.

There are two rounds of traffic with scrapes between them, because a rate wants a series to be there before it rises.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from websockets.sync.client import connect

from example_apps.demo import processes, services
from example_apps.demo.processes import Running
from tests import installed, scrapers
from tests import running as servers
from tests.example_apps import dashboard_traffic as traffic
from tests.example_apps import scraped
from tests.installed import ROOT
from tests.running import Server
from tests.scrapers import Target

# No collector is there, so that spans are lost.
ENVIRONMENT = {
    "OTLP_ENDPOINT": "http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
}


@contextmanager
def observed(folder: Path, interval: str = "2s") -> Iterator[Server]:
    """Run all, send them traffic of all kinds, and give the Prometheus that has scraped it."""
    with ExitStack() as stack:
        running = stack.enter_context(_services(_made(folder / "services")))
        troubled = stack.enter_context(_troubled(_made(folder / "troubled")))
        targets = [*scraped.targets_of(running), Target("troubled", troubled.port)]
        prometheus = stack.enter_context(scrapers.prometheus(targets, _made(folder / "prometheus"), interval))
        scrapers.wait_until_up(prometheus, targets)
        for round_ in range(2):
            traffic.send_all(running, round_)
            traffic.breach(running)
            traffic.paint(running)
            traffic.overload(running)
            traffic.silence_peers(running)
            _trouble(troubled)
            with traffic.without_databases(running):
                traffic.read_all(running)
                wait_for_scrapes(prometheus)
            wait_for_scrapes(prometheus)
        yield prometheus


def wait_for_scrapes(prometheus: Server) -> None:
    """Wait until every target was well scraped after now, and once more: a scrape may have been under way."""
    for _ in range(2):
        now, deadline = time.time(), time.monotonic() + traffic.PATIENCE_SECONDS
        while _oldest_scrape(prometheus) <= now:
            assert time.monotonic() < deadline, "a target was not scraped"
            time.sleep(0.2)


def _oldest_scrape(prometheus: Server) -> float:
    newest_of_each = "max_over_time(timestamp(up == 1)[10m:1s])"
    found = scrapers.ask(prometheus, "query", query=f"min({newest_of_each})")["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _services(folder: Path) -> AbstractContextManager[dict[str, Running]]:
    more = {**ENVIRONMENT, **traffic.ENVIRONMENT}
    chained = [replace(service, environment={**service.environment, **more}) for service in services.SERVICES]
    return processes.running({service.name: servers.free_port() for service in chained}, folder, chained)


def _troubled(folder: Path) -> AbstractContextManager[Server]:
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "tests.example_apps.troubled_app:app"]
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    return servers.serve(command, folder=folder, env=env, ready="/health/startup")


def _trouble(troubled: Server) -> None:
    with connect(f"ws://127.0.0.1:{troubled.port}/echo", open_timeout=60) as socket:
        for who in "abcdef":
            socket.send(who)
            socket.recv()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
