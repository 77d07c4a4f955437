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
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests import installed, running
from tests.installed import ROOT
from tests.running import Answer, Server

TOKEN = "let-me-drain-it"
DRAIN_SECONDS = 5.0  # clients learn of it in time, also where they or the server stand still for seconds
LOAD = 20  # requests, before a server is ended
CLIENTS = 3
PATIENCE_SECONDS = 60.0
STUCK_ANSWER_SECONDS = 8.0  # after which the port of our own has no answer
ASGI, WSGI = "tests.real.draining_app:asgi", "tests.real.draining_app:wsgi"
# An idle connection is closed by nobody but who drains.
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "60"]
GRANIAN = ["granian", "--host", "127.0.0.1", "--port", "{port}", "--interface"]
UVICORN = ["uvicorn", "--port", "{port}", "--log-level", "warning", "--timeout-keep-alive", "60"]
HYPERCORN = ["hypercorn", "--bind", "127.0.0.1:{port}", "--keep-alive", "60"]
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
UWSGI += [
    "--lazy-apps"
]  # else it may fork while a thread of the app's holds Python's lock, which nobody gives back then
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
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_SECONDS)
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
        """Ask until an answer closes its connection, or long enough: a master tells its workers one by one."""
        end = time.monotonic() + DRAIN_SECONDS / 2
        with contextlib.suppress(OSError, http.client.HTTPException):
            while self.live is None or time.monotonic() < end:
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
        "BEGAN": str(folder / "began"),
        "STUCK": str(folder / "stuck"),
        "GO_ON": str(folder / "go-on"),
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
        # After a fork one process leaves the port to another.
        _wait_for(lambda: _ask(port, "/health/live") is not None, server)

        def all_are_stuck() -> bool:
            threading.Thread(target=_ask, args=(server.port, "/stuck"), daemon=True).start()
            return _size(folder / "stuck") >= _at_a_time(name)

        _wait_for(all_are_stuck, server)
        began = time.monotonic()
        status = _ask(port, "/health/live", STUCK_ANSWER_SECONDS)
        seconds = time.monotonic() - began
        (folder / "go-on").touch()
    return seconds if status == 200 else None


def _at_a_time(name: str) -> int:
    """Return how many requests that block their thread a server answers at a time."""
    command = {**SERVERS, **BY_REQUEST}[name]
    options = dict(pairwise(command))
    if "waitress" in command:
        return 4
    counts = ("--workers", "--threads", "--blocking-threads", "--processes")
    return max(1, *(int(options.get(one, 1)) for one in counts))


def _wait_for(is_true: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, server.stderr
        time.sleep(0.05)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _ask(port: int, path: str, timeout: float = PATIENCE_SECONDS) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status
    return None


def drill(
    name: str, folder: Path, *, work_seconds: float = 0.02, drain_seconds: float = DRAIN_SECONDS
) -> Drill:
    """Start a server, load it, end it, and compare what the client saw with what was recorded."""
    by_request = name in BY_REQUEST
    spans = folder / "spans"
    env = {"WORK_SECONDS": str(work_seconds), "OBS_DRAIN_SECONDS": str(drain_seconds)}
    with _serve(name, folder, **env) as server:
        client, stop = Client(server, keeps_alive=name != "uwsgi"), threading.Event()
        threads = [threading.Thread(target=client.run) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=client.probe, args=(stop,)))
        for thread in threads:
            thread.start()
        wanted = LOAD if work_seconds < 1 else CLIENTS
        _wait_for(lambda: _size(folder / "began") >= wanted, server)
        sent = time.monotonic()
        if by_request:
            asked = server.get("/health/drain", "POST", Authorization=f"Bearer {TOKEN}").status
            client.failed += [] if asked == 202 else [f"POST: {asked}"]
        else:
            server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        if by_request:
            time.sleep(0.5)
            sent = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE_SECONDS)
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
    folder: Path,
    names: list[str] | None = None,
    *,
    at_once: int = 8,
    work_seconds: float = 0.02,
    drain_seconds: float = DRAIN_SECONDS,
) -> dict[str, Drill]:
    """End the servers, some at a time."""

    def one(name: str) -> Drill:
        own = _folder(folder, name)
        return drill(name, own, work_seconds=work_seconds, drain_seconds=drain_seconds)

    return _for_each(names, at_once, one)


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
        results = drills(Path(work), sys.argv[1:], at_once=2, drain_seconds=0.5)
        lives = all_while_stuck(Path(work), sys.argv[1:], at_once=2)
        for name, drill_found in results.items():
            print(name, drill_found, lives[name])
        if not sys.argv[1:]:
            write_table(ROOT / "docs" / "lifecycle.md", results, lives)
