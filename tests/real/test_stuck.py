"""The port of our own answers while a server is stuck, and liveness says so there.

Each test takes some seconds, because a server starts and is stuck longer than it may be.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from tests import installed, running
from tests.installed import ROOT
from tests.real.stuck_app import PAGE, STUCK_SECONDS
from tests.running import Server

TOKEN = "let-me-see-it"
AT_ONCE_SECONDS = 1.2
OURS = ["/health/live", "/health/ready", "/health/startup", "/livez", "/readyz", "/startupz", "/health"]
OURS += ["/health/orders", "/health/orders/stock", "/health/ready/stock"]
ASGI, WSGI = "tests.real.stuck_app:asgi", "tests.real.stuck_app:wsgi"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", WSGI]

pytestmark = pytest.mark.once


@contextmanager
def served(module: str, *options: str, folder: Path) -> Iterator[tuple[Server, Server]]:
    """Serve; yield the app's port and our own."""
    env = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "OBS_OPS_PORT": str(running.free_port()),
        "OBS_WATCHDOG_SECONDS": "1.0",
        "OBS_HEALTH_TOKEN": TOKEN,
        "OBS_METRICS_DIRECTORY": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", module, *options]
    command += running.gunicorn_options() if module == "gunicorn" else []
    with running.serve(command, folder=folder, env=installed.clean() | env, ready="/") as server:
        own = Server(server.process, int(env["OBS_OPS_PORT"]), folder)
        yield server, own


def while_stuck(server: Server, own: Server, requests: int) -> tuple[list[int], float, float]:
    """Get it stuck; return the answers of liveness until it goes on, the slowest of them, and the app's own time."""
    assert own.get("/health/live").status == 200
    statuses: list[int] = []
    slowest = 0.0
    with ThreadPoolExecutor(requests + 1) as threads:
        stuck = [threads.submit(server.get, "/stuck") for _ in range(requests)]
        time.sleep(0.1)
        app: Future[float] = threads.submit(_seconds, server, "/")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            is_over = all(one.done() for one in stuck)
            began = time.monotonic()
            statuses.append(own.get("/health/live").status)
            slowest = max(slowest, time.monotonic() - began)
            if is_over and statuses[-1] == 200:
                break
            time.sleep(0.02)
        assert [one.result().body for one in stuck] == [PAGE] * requests
        return [status for status, _ in groupby(statuses)], slowest, app.result()


def _seconds(server: Server, path: str) -> float:
    began = time.monotonic()
    server.get(path)
    return time.monotonic() - began


def test_uvicorn_whose_loop_is_stuck(tmp_path: Path) -> None:
    with served("uvicorn", "--port", "{port}", "--log-level", "warning", ASGI, folder=tmp_path) as (
        server,
        own,
    ):
        statuses, slowest, app = while_stuck(server, own, 1)
        assert (statuses[:2], statuses[-1]) == ([200, 503], 200)
        assert slowest < AT_ONCE_SECONDS < STUCK_SECONDS - 0.3 < app
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # longer than the watchdog waits
        server.process.send_signal(signal.SIGCONT)
        assert {own.get("/health/live").status for _ in range(20)} == {200}
        assert own.get("/metrics").status == 200
        for path in OURS:
            assert json.loads(own.get(path).body) == {"status": "pass"}, path
            assert server.get(path).body == PAGE, path
        bearer = f"Bearer {TOKEN}"
        assert "stock" in json.loads(own.get("/health/orders", Authorization=bearer).body)["checks"]
        for path in ("/", "/stuck", "/health/nothing", "/health/live/stock", "/metrics/"):
            assert own.get(path).status == 404, path
        assert server.get("/health/drain", "POST", Authorization=bearer).body == PAGE
        assert own.get("/health/drain", "POST").status == 401
        assert own.get("/health/ready").status == 200
        assert own.get("/health/drain", "POST", Authorization=bearer).status == 202
        assert (own.get("/health/ready").status, own.get("/health/live").status) == (503, 200)


@pytest.mark.parametrize("options", [("--workers", "2"), ("--threads", "2")], ids=["sync", "gthread"])
def test_gunicorn_whose_workers_are_all_busy(options: tuple[str, ...], tmp_path: Path) -> None:
    with served(*GUNICORN, *options, folder=tmp_path) as (server, own):
        statuses, slowest, app = while_stuck(server, own, 2)
        assert (statuses[:2], statuses[-1]) == ([200, 503], 200)
        assert slowest < AT_ONCE_SECONDS < STUCK_SECONDS - 0.3 < app
