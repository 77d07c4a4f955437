"""A real Prometheus scrapes native histograms of two workers: quantiles within 5 % of the true ones.

It takes seconds, because it starts two workers and Prometheus.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import installed, programs, running
from tests.installed import ROOT
from tests.running import Server
from tests.scrapers import ask, eventually

PROMETHEUS = programs.find("prometheus")
DURATION = "http_server_request_duration_seconds"
SPREAD = [10 ** (-4 + 6 * step / 159) for step in range(160)]  # 100 µs to 100 s
CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: shop
    always_scrape_classic_histograms: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def _knows_native_histograms() -> bool:
    if PROMETHEUS is None:
        return False
    version = subprocess.run([PROMETHEUS, "--version"], capture_output=True, text=True, timeout=60)
    return "version 2." not in version.stdout + version.stderr


pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        not _knows_native_histograms(),
        reason="no prometheus 3 here (scripts/fetch-debian-testing): not seen is that it takes native histograms",
    ),
]


@pytest.fixture(scope="module")
def seconds(app: Server) -> list[float]:
    """What the requests have taken, as the access lines say, in rising order."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: app.get(f"/took/{one:.7f}"), SPREAD))
    return sorted(line["duration_ms"] / 1000 for line in app.access(len(SPREAD)))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        "{port}",
        "--workers",
        "2",
        "--timeout-worker-healthcheck",
        "60",  # a busy machine's worker is not replaced
        "tests.real.native_app:app",
    ]
    env = installed.clean() | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "OBS_METRICS_DIRECTORY": str(folder),
    }
    with running.serve(command, folder=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(
    app: Server, seconds: list[float], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(port=app.port))
    command = [
        PROMETHEUS,
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=native-histograms",
        "--log.level=warn",
    ]
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready") as server:
        eventually(lambda: ask(server, "query", query=f"histogram_count(sum({DURATION}))")["result"])
        yield server


def value(prometheus: Server, query: str) -> float:
    """Return the value of a query; there is none while the last scrape came too late."""
    (found,) = eventually(lambda: ask(prometheus, "query", query=query)["result"])
    return float(found["value"][1])


def test_quantiles_are_within_five_percent_of_the_true_ones(prometheus: Server, seconds: list[float]) -> None:
    assert seconds[0] < 0.0003
    assert seconds[-1] > 99
    for place in range(len(seconds)):
        rank = (place + 0.5) / len(seconds)
        found = value(prometheus, f"histogram_quantile({rank}, sum({DURATION}))")
        assert found == pytest.approx(seconds[place], rel=0.05), rank


def test_count_and_sum_are_right_and_no_scrape_fails(prometheus: Server, seconds: list[float]) -> None:
    assert value(prometheus, f"histogram_count(sum({DURATION}))") == len(seconds)
    assert value(prometheus, f"histogram_sum(sum({DURATION}))") == pytest.approx(math.fsum(seconds), rel=1e-4)
    (target,) = eventually(
        lambda: [one for one in ask(prometheus, "targets")["activeTargets"] if one["health"] == "up"]
    )
    assert target["lastError"] == ""


def test_classic_buckets_are_exact_beside(prometheus: Server, seconds: list[float]) -> None:
    for bound in ("0.005", "0.1", "2.5", "10.0", "+Inf"):
        found = value(prometheus, f'sum({DURATION}_bucket{{le="{bound}"}})')
        assert found == sum(one <= float(bound) for one in seconds), bound


def test_first_bytes_are_native_too(prometheus: Server, seconds: list[float]) -> None:
    name = "http_server_time_to_first_byte_seconds"
    found = value(prometheus, f"histogram_quantile(0.5, sum({name}))")
    assert found == pytest.approx(0.1, rel=0.1)


def test_page_of_text_is_that_of_classic_histograms_alone(app: Server, prometheus: Server) -> None:
    page = app.get("/metrics").body.decode()
    bounds = [line.partition('le="')[2].partition('"')[0] for line in page.splitlines() if DURATION in line]
    assert set(filter(None, bounds)) == {"0.005", "0.025", "0.1", "0.25", "0.5", "1.0", "2.5", "10.0", "+Inf"}
