"""Prometheus and VictoriaMetrics, real ones, set to scrape: what they have stored, as the last raw values."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from tests import installed, programs, running
from tests.running import Server

PROMETHEUS, PROMTOOL = programs.find("prometheus"), programs.find("promtool")
VICTORIA_METRICS = programs.find("victoria-metrics")

PROGRAMS = {"prometheus": PROMETHEUS, "promtool": PROMTOOL, "victoria-metrics": VICTORIA_METRICS}

# A series is its name and its labels; a label without a value is none.
Series = tuple[str, frozenset[tuple[str, str]]]
Values = dict[Series, float]


def missing() -> str:
    """Name the programs that are not here."""
    return ", ".join(name for name, path in PROGRAMS.items() if path is None)


@dataclass(frozen=True, slots=True)
class Target:
    """A page that is scraped."""

    job: str
    port: int
    path: str = "/metrics"
    token: str = ""

    def config(self) -> dict[str, Any]:
        credentials = {"authorization": {"credentials": self.token}} if self.token else {}
        return {
            "job_name": self.job,
            "metrics_path": self.path,
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}],
            **credentials,
        }


@contextmanager
def prometheus(targets: Iterable[Target], folder: Path, interval: str = "250ms") -> Iterator[Server]:
    """Run Prometheus, which keeps exemplars too."""
    command = [
        PROMETHEUS,
        f"--config.file={_config(targets, folder, interval)}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready") as server:
        yield server


@contextmanager
def victoria_metrics(targets: Iterable[Target], folder: Path, interval: str = "250ms") -> Iterator[Server]:
    """Run VictoriaMetrics."""
    command = [
        VICTORIA_METRICS,
        f"-promscrape.config={_config(targets, folder, interval)}",
        f"-storageDataPath={folder / 'data'}",
        "-httpListenAddr=127.0.0.1:{port}",
        "-search.latencyOffset=0s",
        "-loggerLevel=WARN",
    ]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/health") as server:
        yield server


def _config(targets: Iterable[Target], folder: Path, interval: str) -> Path:
    path = folder / "scrape.yml"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [target.config() for target in targets],
    }
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def wait_until_up(server: Server, targets: Iterable[Target]) -> None:
    """Wait for the first scrape of each target, which Prometheus puts off for five seconds."""
    wanted = {target.job: "1" for target in targets}
    deadline = time.monotonic() + 60
    while (seen := _up(server)) != wanted:
        assert time.monotonic() < deadline, f"not scraped: {seen}"
        time.sleep(0.1)


def _up(server: Server) -> dict[str, str]:
    return {one["metric"]["job"]: one["value"][1] for one in ask(server, "query", query="up")["result"]}


def ask(server: Server, path: str, **query: Any) -> Any:
    """Ask the query API, which both have."""
    answer = json.loads(server.get(f"/api/v1/{path}?{urlencode(query)}").body)
    assert answer["status"] == "success", answer
    return answer["data"]


def eventually(ask_once: Callable[[], Any]) -> Any:
    """Ask until there is an answer: the first scrape takes its time."""
    deadline = time.monotonic() + 60
    while not (found := ask_once()):
        assert time.monotonic() < deadline, "the scraper has found nothing"
        time.sleep(0.1)
    return found


def stored(server: Server, job: str, window: str = "15s") -> Values:
    """Return the last value of each series of a job, as it was scraped within the window.

    A series that has a label `job` of its own keeps it; it is found by its prefix, the name of the service.
    """
    server.get(
        "/internal/force_flush"
    )  # VictoriaMetrics shows what is new seconds later else; Prometheus answers 404
    selectors = (f'{{job="{job}"}}', f'{{job!="{job}", __name__=~"{job}_.+"}}')
    found = [ask(server, "query", query=f"{selector}[{window}]")["result"] for selector in selectors]
    values: Values = {}
    for one in chain.from_iterable(found):
        labels = {label: value for label, value in one["metric"].items() if (label, value) != ("job", job)}
        values[series(labels.pop("__name__"), labels)] = float(one["values"][-1][1])
    return values


def on_page(page: str) -> Values:
    """Return the value of each series of a page."""
    return {
        series(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def series(name: str, labels: Mapping[str, str]) -> Series:
    """Return a series as both write it: without what a scraper adds, and bounds as numbers."""
    kept = {
        label: str(float(value)) if label == "le" else value
        for label, value in labels.items()
        if value and not (label == "instance" and value.startswith("127.0.0.1:"))
    }
    return name, frozenset(kept.items())


def total(values: Mapping[Series, float], name: str, **labels: str) -> float:
    """Sum the series of a name that have these labels; an empty value wants the label not to be there."""
    wanted, absent = (
        {pair for pair in labels.items() if pair[1]},
        {name for name in labels if not labels[name]},
    )
    return sum(
        value
        for (found, pairs), value in values.items()
        if found == name and wanted <= pairs and not absent & {label for label, _ in pairs}
    )
