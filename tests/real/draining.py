"""Servers that are ended under load, by a client that obeys readiness: what the client saw, and what was recorded."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests import installed, running
from tests.installed import ROOT
from tests.running import Answer, Server

TOKEN = "let-me-drain-it"
DRAIN_SECONDS = 0.5
CLIENTS = 3
STUCK, STUCK_SECONDS = (
    12,
    1.5,
)  # requests, more than any server here answers at a time, and how long each blocks
ASGI, WSGI = "tests.real.draining_app:asgi", "tests.real.draining_app:wsgi"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning"]
GRANIAN = ["granian", "--host", "127.0.0.1", "--port", "{port}", "--interface"]
UVICORN = ["uvicorn", "--port", "{port}", "--log-level", "warning"]
HYPERCORN = ["hypercorn", "--bind", "127.0.0.1:{port}"]
SERVERS = {
    "uvicorn": [*UVICORN, "--loop", "uvloop", ASGI],
    "uvicorn, asyncio": [*UVICORN, "--loop", "asyncio", "--http", "h11", ASGI],
    "uvicorn, no lifespan": [*UVICORN, "tests.real.draining_app:without_lifespan"],
    "uvicorn, 2 workers": [*UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60", ASGI],
    "gunicorn sync": [*GUNICORN, "--workers", "2", WSGI],
    "gunicorn gthread": [*GUNICORN, "--threads", "4", WSGI],
    "gunicorn gthread, preload": [*GUNICORN, "--threads", "4", "--preload", WSGI],
    "gunicorn gevent": [*GUNICORN, "--worker-class", "gevent", WSGI],
    "gunicorn uvicorn": [
        *GUNICORN,
        "--workers",
        "2",
        "--worker-class",
        "uvicorn.workers.UvicornWorker",
        ASGI,
    ],
    "hypercorn, no worker": [*HYPERCORN, "--workers", "0", ASGI],
    "granian ASGI": [*GRANIAN, "asgi", ASGI],
    "granian WSGI": [*GRANIAN, "wsgi", "--blocking-threads", "4", WSGI],
    "daphne": ["daphne", "--access-log", "/dev/null", "--bind", "127.0.0.1", "--port", "{port}", ASGI],
    "waitress": ["waitress", "--listen=127.0.0.1:{port}", WSGI],
}
UWSGI = ["--http-socket", "127.0.0.1:{port}", "--master", "--enable-threads", "--need-app", "--die-on-term"]
# These have the drain begin by a POST, as a preStop hook makes it, because no worker of theirs is told of the signal.
BY_REQUEST = {
    "hypercorn, 2 workers": [*HYPERCORN, "--workers", "2", ASGI],
    "uwsgi": [
        "uwsgi",
        *UWSGI,
        "--processes",
        "2",
        "--hook-master-start",
        "unix_signal:15 gracefully_kill_them_all",
        "--module",
        WSGI,
        "--home",
        sys.prefix,
    ],
}


_T = TypeVar("_T")


class Drill(NamedTuple):
    """What came of one server's end."""

    answered: int
    failed: list[str]  # what the client saw besides 200
    lost_lines: int
    lost_spans: int
    lost_counts: int
    live_when_draining: int | None
    closes: str | None  # the header Connection, of an answer while draining
    seconds: float  # from SIGTERM to the end of the process
    log: str


class Client:
    """Sends requests as long as readiness is 200."""

    def __init__(self, server: Server, *, keeps_alive: bool) -> None:
        self.server = server
        self.keeps_alive = keeps_alive
        self.live: Answer | None = None  # when readiness was 503
        self.ids: list[str] = []
        self.failed: list[str] = []
        self.is_ready = True

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        with contextlib.closing(connection):
            while self.is_ready:
                if not self.keeps_alive:
                    connection.close()
                try:
                    connection.request("GET", "/orders")
                    response = connection.getresponse()
                    response.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(repr(error))
                    connection.close()
                    continue
                if response.status == 200:
                    self.ids.append(response.headers["X-Request-ID"])
                else:
                    self.failed.append(str(response.status))
                time.sleep(0.01)

    def probe(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.is_ready = self.server.get("/health/ready").status == 200
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"probe: {error!r}")
                self.is_ready = False
            if not self.is_ready:
                self._ask_whether_alive()
                return
            time.sleep(0.03)

    def _ask_whether_alive(self) -> None:
        """Ask until an answer closes its connection, or often enough: a master tells its workers one by one."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            for _ in range(10):
                self.live = self.server.get("/health/live")
                if self.live.status != 200 or self.live.headers["Connection"] == "close":
                    return
                time.sleep(0.01)


@contextlib.contextmanager
def _serve(name: str, folder: Path, **env: str) -> Iterator[Server]:
    program, *options = {**SERVERS, **BY_REQUEST}[name]
    if program == "uwsgi":
        command = [shutil.which(program, path=str(Path(sys.executable).parent)), *options]
    else:
        command = [sys.executable, *([] if options[0] == "-c" else ["-m", program]), *options]
        command += running.gunicorn_options() if program == "gunicorn" else []
    common = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "SPANS": str(folder / "spans"),
        "OBS_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "OBS_HEALTH_TOKEN": TOKEN,
        "OBS_METRICS_DIRECTORY": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    with running.serve(command, folder=folder, env=installed.clean() | common | env) as server:
        yield server


def live_while_stuck(name: str, folder: Path) -> float | None:
    """Return after how many seconds liveness answers on `ops_port` while all workers are stuck; None: it does not."""
    port = running.free_port()
    with _serve(name, folder, WORK_SECONDS="0", OBS_OPS_PORT=str(port)) as server:
        deadline = time.monotonic() + running.START_SECONDS
        while _ask(port, "/health/live") is None and time.monotonic() < deadline:
            time.sleep(0.05)  # after a fork one process leaves the port to another
        for _ in range(STUCK):
            threading.Thread(target=_ask, args=(server.port, "/stuck"), daemon=True).start()
        time.sleep(STUCK_SECONDS / 3)
        began = time.monotonic()
        status = _ask(port, "/health/live")
        seconds = time.monotonic() - began
    return seconds if status == 200 and seconds < STUCK_SECONDS / 3 else None


def _ask(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status
    return None


def drill(name: str, folder: Path, *, work_seconds: float = 0.02) -> Drill:
    """Start a server, load it, end it, and compare what the client saw with what was recorded."""
    by_request = name in BY_REQUEST
    spans = folder / "spans"
    with _serve(name, folder, WORK_SECONDS=str(work_seconds)) as server:
        client, stop = Client(server, keeps_alive=name != "uwsgi"), threading.Event()
        threads = [threading.Thread(target=client.run) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=client.probe, args=(stop,)))
        for thread in threads:
            thread.start()
        time.sleep(0.6)
        if by_request:
            asked = server.get("/health/drain", "POST", Authorization=f"Bearer {TOKEN}").status
            client.failed += [] if asked == 202 else [f"POST: {asked}"]
        else:
            server.process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        for thread in threads:
            thread.join()
        if by_request:
            time.sleep(DRAIN_SECONDS)
            server.process.send_signal(signal.SIGTERM)
            sent = time.monotonic()
        server.process.wait(running.STOP_SECONDS)
        seconds = time.monotonic() - sent
        logged = set(_request_ids(server.stdout + server.stderr))
        text = server.stderr
    spanned = [json.loads(line)["obs.request_id"] for line in _lines(spans)]
    counted = max(
        (_counted(path) for path in folder.glob("spans-*.json")), default=0
    )  # each has those of all
    ids = set(client.ids)
    return Drill(
        answered=len(client.ids),
        failed=client.failed,
        lost_lines=len(ids - logged),
        lost_spans=len(ids - set(spanned)),
        lost_counts=len(ids) - counted,
        live_when_draining=None if client.live is None else client.live.status,
        closes=None if client.live is None else client.live.headers["Connection"],
        seconds=round(seconds, 2),
        log=text,
    )


def drills(
    folder: Path, names: list[str] | None = None, *, at_once: int = 5, work_seconds: float = 0.02
) -> dict[str, Drill]:
    """End the servers, some at a time."""
    return _for_each(
        names, at_once, lambda name: drill(name, _folder(folder, name), work_seconds=work_seconds)
    )


def all_while_stuck(
    folder: Path, names: list[str] | None = None, *, at_once: int = 5
) -> dict[str, float | None]:
    """Ask for the liveness of stuck servers, some at a time."""
    return _for_each(names, at_once, lambda name: live_while_stuck(name, _folder(folder, f"stuck {name}")))


def _for_each(names: list[str] | None, at_once: int, do: Callable[[str], _T]) -> dict[str, _T]:
    names = names or [name for name in (*SERVERS, *BY_REQUEST) if _is_installed(name)]
    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip(names, pool.map(do, names), strict=True))


def _is_installed(name: str) -> bool:
    """Tell whether a server can be started; gevent and uWSGI do not install on every Python."""
    if name == "uwsgi":
        return (Path(sys.executable).parent / name).exists()
    return "gevent" not in name or find_spec("gevent") is not None


def _folder(folder: Path, name: str) -> Path:
    own = folder / name.replace(" ", "_").replace(",", "")
    own.mkdir()
    return own


def _request_ids(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("{") and '"obs.access"' in line:
            yield json.loads(line)["request_id"]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _counted(path: Path) -> int:
    found: dict[str, Any] = json.loads(path.read_text())
    samples = found["metrics"].get("orders", {"samples": []})["samples"]
    return int(sum(sample["value"] for sample in samples if sample["name"] == "orders_total"))


def row(name: str, found: Drill, live: float | None) -> str:
    """Return what a server does, as a row of the table; the times apart, because they differ from run to run."""
    begins = "`POST /health/drain`" if name in BY_REQUEST else "SIGTERM"
    drained = "yes" if found.answered and not found.failed and found.live_when_draining == 200 else "no"
    flushed = "no" if found.lost_lines or found.lost_spans or found.lost_counts else "yes"
    answers = "no" if live is None else "yes"
    return f"| {name} | {begins} | {drained} | {flushed} | {found.closes or '–'} | {answers}"


HEAD = (
    "| server | begins by | no failed request | nothing recorded lost | `Connection` | live while stuck | to exit, s |",
    "|---|---|---|---|---|---|---|",
)
BEGIN, END = "<!-- made by `make drain` -->\n", "<!-- end -->\n"


def write_table(page: Path, found: dict[str, Drill], live: dict[str, float | None]) -> None:
    """Write the table into a page, between its marks."""
    rows = []
    for name, drill in found.items():
        seconds = live[name]
        times = "" if seconds is None else f", {seconds * 1000:.0f} ms"
        rows.append(f"{row(name, drill, seconds)}{times} | {drill.seconds:.1f} |")
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table = "\n".join((*HEAD, *rows)) + "\n"
    page.write_text(f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as work:
        results = drills(Path(work), sys.argv[1:], at_once=2)
        lives = all_while_stuck(Path(work), sys.argv[1:], at_once=2)
        for name, drill_found in results.items():
            print(name, drill_found, lives[name])
        if not sys.argv[1:]:
            write_table(ROOT / "docs" / "lifecycle.md", results, lives)
