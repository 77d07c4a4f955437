"""The port of our own answers while a server is stuck, and liveness says so there.

Each test takes some seconds, because a server starts and is stuck longer than it may be.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import installed, running
from tests.core.support import eventually
from tests.installed import ROOT
from tests.running import Server

PAGE = b"a page of the app"
TOKEN = "let-me-see-it"
OURS = ["/health/live", "/health/ready", "/health/startup", "/livez", "/readyz", "/startupz", "/health"]
OURS += ["/health/orders", "/health/orders/stock", "/health/ready/stock"]
ASGI, WSGI = "tests.real.stuck_app:asgi", "tests.real.stuck_app:wsgi"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--timeout", "120", WSGI]

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
        "FOLDER": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", module, *options]
    command += running.gunicorn_options() if module == "gunicorn" else []
    with running.serve(command, folder=folder, env=installed.clean() | env, ready="/") as server:
        own = Server(server.process, int(env["OBS_OPS_PORT"]), folder)
        yield server, own


def while_stuck(server: Server, own: Server, folder: Path, requests: int) -> None:
    """Get it stuck: liveness says so on our own port while the app's answers nothing, and is well once it goes on."""
    eventually(lambda: own.get("/health/live").status == 200)
    with ThreadPoolExecutor(requests + 1) as threads:
        stuck = [threads.submit(server.get, "/stuck") for _ in range(requests)]
        try:
            eventually(lambda: (folder / "stuck").exists() and (folder / "stuck").stat().st_size == requests)
            app = threads.submit(server.get, "/")
            eventually(lambda: own.get("/health/live").status == 503)
            assert not any(one.done() for one in (*stuck, app))
        finally:
            (folder / "go-on").touch()
        assert [one.result().body for one in (*stuck, app)] == [PAGE] * (requests + 1)
    eventually(lambda: own.get("/health/live").status == 200)


def test_uvicorn_whose_loop_is_stuck(tmp_path: Path) -> None:
    with served("uvicorn", "--port", "{port}", "--log-level", "warning", ASGI, folder=tmp_path) as (
        server,
        own,
    ):
        while_stuck(server, own, tmp_path, 1)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # longer than the watchdog waits
        server.process.send_signal(signal.SIGCONT)
        assert {own.get("/health/live").status for _ in range(20)} == {200}
        assert own.get("/metrics").status == 200
        for path in OURS:
            # A check has no answer yet where its thread is late.
            eventually(lambda path=path: json.loads(own.get(path).body) == {"status": "pass"})  # type: ignore[misc]
            assert server.get(path).body == PAGE, path
        bearer = f"Bearer {TOKEN}"
        assert "stock" in json.loads(own.get("/health/orders", Authorization=bearer).body)["checks"]
        for path in ("/", "/stuck", "/health/nothing", "/health/live/stock", "/metrics/"):
            assert own.get(path).status == 404, path
        assert server.get("/health/drain", "POST", Authorization=bearer).body == PAGE
        assert own.get("/health/drain", "POST").status == 401
        eventually(lambda: own.get("/health/ready").status == 200)
        assert own.get("/health/drain", "POST", Authorization=bearer).status == 202
        assert (own.get("/health/ready").status, own.get("/health/live").status) == (503, 200)


@pytest.mark.parametrize("options", [("--workers", "2"), ("--threads", "2")], ids=["sync", "gthread"])
def test_gunicorn_whose_workers_are_all_busy(options: tuple[str, ...], tmp_path: Path) -> None:
    with served(*GUNICORN, *options, folder=tmp_path) as (server, own):
        while_stuck(server, own, tmp_path, 2)
