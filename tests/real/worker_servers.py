"""Servers with several workers, clients that count what they send, and pages, for the table of docs/workers.md."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests import installed, running
from tests.installed import ROOT
from tests.real.worker_app import SHOPS, THEIRS
from tests.running import Server

WORKERS = 2
CLIENTS = 4
MAX_REQUESTS = "60"
ORDERS = 40  # at least, until all workers have answered
PATIENCE_SECONDS = 60.0  # until another worker has taken the place of one that has ended
_ASGI, _WSGI = "tests.real.worker_app:asgi", "tests.real.worker_app:wsgi"
_GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--workers", str(WORKERS)]
_GRANIAN = ["granian", "--port", "{port}", "--respawn-failed-workers", "--workers", str(WORKERS)]
_UWSGI = ["uwsgi", "--http-socket", "127.0.0.1:{port}", "--master", "--need-app", "--die-on-term"]
_HOOK = """
from prometheus_client import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""


class SetUp(NamedTuple):
    """How a server is started.

    Attributes:
        command: without the options below.
        recycling: options that have a worker end after some requests; none: SIGHUP has all workers replaced.
    """

    command: list[str]
    recycling: tuple[str, ...]


def _gunicorn(*options: str, app: str = _WSGI) -> SetUp:
    return SetUp([*_GUNICORN, *options, app], ("--max-requests", MAX_REQUESTS))


SERVERS = {
    "gunicorn sync": _gunicorn(),
    "gunicorn gthread": _gunicorn("--threads", "4"),
    "gunicorn gthread, preload": _gunicorn("--threads", "4", "--preload"),
    "gunicorn gevent": _gunicorn("--worker-class", "gevent"),
    "gunicorn uvicorn": _gunicorn("--worker-class", "uvicorn.workers.UvicornWorker", app=_ASGI),
    "uvicorn": SetUp(
        [
            *("uvicorn", "--port", "{port}", "--log-level", "warning", "--workers", str(WORKERS)),
            *("--timeout-worker-healthcheck", "60"),  # a busy machine's worker is not replaced
            _ASGI,
        ],
        ("--limit-max-requests", MAX_REQUESTS),
    ),
    "hypercorn": SetUp(
        ["hypercorn", "--bind", "127.0.0.1:{port}", "--workers", str(WORKERS), _ASGI],
        ("--max-requests", MAX_REQUESTS),
    ),
    "granian ASGI": SetUp([*_GRANIAN, "--interface", "asgi", _ASGI], ()),
    "granian WSGI": SetUp([*_GRANIAN, "--interface", "wsgi", _WSGI], ()),
    "uWSGI": SetUp(
        [*_UWSGI, "--enable-threads", "--processes", str(WORKERS), "--module", _WSGI, "--home", sys.prefix],
        ("--max-requests", MAX_REQUESTS),
    ),
}


class Way(NamedTuple):
    """Whose metrics are shared: ours, or prometheus-client's."""

    name: str
    is_ours: bool

    def environment(self, folder: Path) -> dict[str, str]:
        """Return what a server is started with."""
        if self.is_ours:
            return {"OBS_METRICS_DIRECTORY": str(folder)}
        (folder / "theirs").mkdir(exist_ok=True)
        return {THEIRS: str(folder / "theirs")}


OURS, PROMETHEUS = Way("ours", is_ours=True), Way("prometheus-client", is_ours=False)


class Traffic:
    """Orders that were sent to a server, those that were answered, and by whom."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent = self.answered = 0
        self.workers: set[int] = set()
        self._lock = threading.Lock()

    def order(self) -> None:
        """Send one request; whether it was counted is not known where it fails."""
        with self._lock:
            self.sent += 1
            shop = self.sent % SHOPS
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.server.get(f"/orders/{shop}")
            if answer.status == 200:
                with self._lock:
                    self.answered += 1
                    self.workers.add(int(answer.body))

    def until_all_workers_have_answered(self) -> None:
        """Send orders, of which as many are under way as there are clients."""
        self.workers.clear()
        goal, deadline = self.sent + ORDERS, time.monotonic() + PATIENCE_SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            while self.sent < goal or len(self.workers) < WORKERS:
                assert time.monotonic() < deadline, f"only {self.workers} answer\n{self.server.stderr}"
                list(pool.map(lambda _: self.order(), range(CLIENTS * 2)))

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        """Send orders without a pause."""
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                self.order()

        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(CLIENTS):
                pool.submit(send)
            try:
                yield
            finally:
                stop.set()


class Page:
    """What one scrape has told.

    Attributes:
        fails: the server answered it by an error.
    """

    def __init__(self, text: str, *, fails: bool = False) -> None:
        self.text = text
        self.fails = fails

    @classmethod
    def of(cls, server: Server, accept: str = "") -> Page | None:
        """Scrape whichever worker answers; None where none does."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = server.get("/metrics", Accept=accept)
            return cls(answer.body.decode(), fails=answer.status != 200)
        return None

    def sum(self, name: str) -> float:
        """Return the sum of all series of one name."""
        return sum(
            float(line.partition(" # ")[0].rpartition(" ")[2])
            for line in self.text.splitlines()
            if line.startswith((name + "{", name + " "))
        )

    @property
    def orders(self) -> float:
        return self.sum("orders_total")

    @property
    def observed(self) -> float:
        return self.sum("latency_seconds_count")

    @property
    def process_metrics(self) -> int:
        series = [
            line for line in self.text.splitlines() if line.startswith("process_resident_memory_bytes{")
        ]
        return sum("worker=" in line or "pid=" in line for line in series)


@contextlib.contextmanager
def serving(name: str, way: Way, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    program, *arguments = SERVERS[name].command
    folder.mkdir(exist_ok=True)
    if program == "uwsgi":
        found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert found is not None, "no uwsgi here: pip install uwsgi"
        command = [found, *arguments, *options]
    else:
        command = [sys.executable, "-m", program, *arguments, *options]
    if program == "gunicorn":
        command += running.gunicorn_options()
    if program == "gunicorn" and not way.is_ours:
        (folder / "gunicorn_hooks.py").write_text(_HOOK)
        command += ["--config", str(folder / "gunicorn_hooks.py")]
    # A request takes some time, so that one process does not take them all.
    env = environment() | way.environment(folder) | {"WORK_SECONDS": "0.005"} | settings
    with running.serve(command, folder=folder, env=env, ready="/ready") as server:
        yield server


def environment() -> dict[str, str]:
    return installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PYTHONWARNINGS": "ignore"}
