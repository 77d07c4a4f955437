"""What a scrape tells of several workers: ours beside prometheus-client's multi-process mode, on real servers.

`python -m tests.real.worker_table` measures all servers and writes the table into docs/workers.md; with names of
servers it prints theirs alone.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests import installed, running
from tests.installed import ROOT
from tests.real.worker_app import SHOPS, THEIRS, WITH_HOOK
from tests.running import Server

WORKERS = 2
CLIENTS = 4
DEAD = 100
MAX_REQUESTS = "60"
_ORDERS = 40  # requests before the sums are compared
_SCRAPES = 15  # of each server, for a median
_PATIENCE_SECONDS = 15.0  # until another worker has taken the place of one that has ended
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
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
        ["uvicorn", "--port", "{port}", "--log-level", "warning", "--workers", str(WORKERS), _ASGI],
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
    has_hooks: bool

    def environment(self, folder: Path) -> dict[str, str]:
        """Return what a server is started with."""
        if not self.has_hooks:
            return {"OBS_METRICS_DIRECTORY": str(folder)}
        (folder / "theirs").mkdir(exist_ok=True)
        return {THEIRS: str(folder / "theirs")}


OURS, PROMETHEUS = Way("ours", has_hooks=False), Way("prometheus-client", has_hooks=True)


class Found(NamedTuple):
    """What one way gave on one server; None where the server itself has ended."""

    sum_is_right: bool
    has_exemplars: bool
    survives_kill: bool | None
    gauge_is_right: bool | None
    survives_recycling: bool | None
    process_metrics: int  # series of resident memory, each of one worker
    scrape_seconds: float
    scrape_seconds_with_dead: float
    notes: list[str]  # numbers that were not as they should be


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
        goal, deadline = self.sent + _ORDERS, time.monotonic() + _PATIENCE_SECONDS
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
def _serving(name: str, way: Way, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
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
    if program == "gunicorn" and way.has_hooks:
        (folder / "gunicorn_hooks.py").write_text(_HOOK)
        command += ["--config", str(folder / "gunicorn_hooks.py")]
    # A request takes some time, so that one process does not take them all.
    env = _environment() | way.environment(folder) | {"WORK_SECONDS": "0.005"} | settings
    with running.serve(command, folder=folder, env=env, ready="/ready") as server:
        yield server


def _environment() -> dict[str, str]:
    return installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PYTHONWARNINGS": "ignore"}


def measure(name: str, way: Way, folder: Path, *, dead: int = DEAD) -> Found:
    """Start a server three times (as it is, with recycling, beside dead workers) and compare it with its clients."""
    notes: list[str] = []
    recycling = SERVERS[name].recycling
    group = {} if way.has_hooks else {"OBS_METRICS_WORKERS": "shop"}
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(_serving(name, way, folder / "plain"))
        beside_dead = stack.enter_context(_serving(name, way, folder / "dead", **group))
        traffic = Traffic(plain)
        traffic.until_all_workers_have_answered()
        sums = _sums(plain, traffic, notes)
        page = Page.of(plain, _OPENMETRICS)
        assert page is not None
        Traffic(beside_dead).until_all_workers_have_answered()
        _leave_dead(name, way, folder / "dead", dead, group)
        without, with_dead = _scrape_seconds(plain, beside_dead)
        killed, gauge = _kill(plain, traffic, notes)
    with _serving(name, way, folder / "recycling", *recycling) as server:
        recycled = _recycle(server, notes, has_option=bool(recycling))
    return Found(
        sum_is_right=sums,
        has_exemplars=' # {trace_id="0af7651916cd43dd8448eb211c80319c"}' in page.text,
        survives_kill=killed,
        gauge_is_right=gauge,
        survives_recycling=recycled,
        process_metrics=page.process_metrics,
        scrape_seconds=without,
        scrape_seconds_with_dead=with_dead,
        notes=notes,
    )


def _sums(server: Server, traffic: Traffic, notes: list[str]) -> bool:
    """Tell whether each of several pages, asked for at once, has what clients have counted."""
    assert traffic.answered == traffic.sent, server.stderr
    with ThreadPoolExecutor(CLIENTS) as pool:
        pages = [page for page in pool.map(lambda _: Page.of(server), range(CLIENTS * 2)) if page is not None]
    found = {(page.orders, page.observed, page.sum("depth")) for page in pages}
    wanted = {(traffic.answered, traffic.answered, WORKERS)}
    if found != wanted:
        notes.append(f"sums: {found}, not {wanted}")
    return found == wanted


def _leave_dead(name: str, way: Way, folder: Path, count: int, settings: dict[str, str]) -> None:
    """Have workers count and be killed, whose numbers the server's page has; where it has a hook, it is called."""
    hook = {WITH_HOOK: "1"} if way.has_hooks and name.startswith("gunicorn") else {}
    subprocess.run(
        [sys.executable, "-m", "tests.real.worker_app", str(count)],
        env=_environment() | way.environment(folder) | settings | hook,
        check=True,
        timeout=60,
    )


def _scrape_seconds(*servers: Server) -> list[float]:
    """Return the median of each server's scrapes, which take turns."""
    seconds: list[list[float]] = [[] for _ in servers]
    for _ in range(_SCRAPES):
        for server, own in zip(servers, seconds, strict=True):
            begun = time.perf_counter()
            server.get("/metrics")
            own.append(time.perf_counter() - begun)
    return [statistics.median(own) for own in seconds]


def _kill(server: Server, traffic: Traffic, notes: list[str]) -> tuple[bool | None, bool | None]:
    """Kill a worker under load; tell whether the counter stays right, and the gauge of living workers."""
    known = set(traffic.workers)

    def kill() -> None:
        os.kill(known.copy().pop(), signal.SIGKILL)

    survived = _disturb(traffic, kill, lambda: bool(traffic.workers - known), notes)
    if survived is None:
        return None, None
    traffic.until_all_workers_have_answered()
    page = Page.of(server)
    depth = page.sum("depth") if page is not None else None
    if depth != WORKERS:
        notes.append(f"kill: gauge {depth}, not {WORKERS}")
    return survived, depth == WORKERS


def _recycle(server: Server, notes: list[str], *, has_option: bool) -> bool | None:
    traffic = Traffic(server)
    traffic.until_all_workers_have_answered()
    known = set(traffic.workers)

    def renew() -> None:
        if not has_option:
            server.process.send_signal(signal.SIGHUP)

    return _disturb(traffic, renew, lambda: len(traffic.workers - known) >= WORKERS, notes)


def _disturb(
    traffic: Traffic, disturb: Callable[[], None], is_over: Callable[[], bool], notes: list[str]
) -> bool | None:
    """Scrape under load, before and after workers end; tell whether each page has what it must.

    That is no less than the page before, all that was answered before the scrape, and no more than was sent until
    its end. None: the server has ended.
    """
    server, last, wrong = traffic.server, 0.0, len(notes)
    pages = 0
    with traffic.flowing():
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_over() or pages < 10:
            if server.process.poll() is not None:
                return None
            if time.monotonic() > deadline:
                notes.append(f"{disturb.__name__}: no new worker")
                break
            before = traffic.answered
            page = Page.of(server)
            after = traffic.sent
            if page is not None and page.fails:
                notes.append(f"{disturb.__name__}: a page failed")
            elif page is not None:
                if not max(before, last) <= page.orders <= after:
                    notes.append(
                        f"{disturb.__name__}: {page.orders}, after {last}; {before} answered, {after} sent"
                    )
                last, pages = page.orders, pages + 1
            if pages == 5:
                disturb()
                pages += 1
    page = Page.of(server)
    if page is None:
        return None
    if not max(traffic.answered, last) <= page.orders <= traffic.sent or page.orders != page.observed:
        notes.append(
            f"{disturb.__name__}: at the end {page.orders} ({page.observed} observed); {traffic.answered} answered"
        )
    return len(notes) == wrong


HEAD = """\
| server | whose | sums right | exemplars | kill -9: counter right | … gauge of the living | recycled: counter right |\
 workers with process metrics | scrape with {dead} dead workers ÷ none, ms |
|---|---|---|---|---|---|---|---|---|
"""
BEGIN, END = "<!-- made by `make workers` -->\n", "<!-- end -->\n"


def row(name: str, way: Way, found: Found) -> str:
    """Return one row of the table."""
    answers = (
        found.sum_is_right,
        found.has_exemplars,
        found.survives_kill,
        found.gauge_is_right,
        found.survives_recycling,
    )
    words = [{True: "yes", False: "**no**", None: "the server ends"}[answer] for answer in answers]
    ratio = found.scrape_seconds_with_dead / found.scrape_seconds
    milliseconds = f"{found.scrape_seconds_with_dead * 1e3:.1f} ÷ {found.scrape_seconds * 1e3:.1f}"
    cells = (name, way.name, *words, str(found.process_metrics), f"{ratio:.1f} ({milliseconds})")
    return f"| {' | '.join(cells)} |"


def table(names: list[str], folder: Path, *, dead: int = DEAD, at_once: int = 2) -> str:
    """Measure servers, some at a time, and return the table."""

    def one(which: tuple[str, Way]) -> str:
        name, way = which
        own = folder / f"{name}-{way.name}".replace(" ", "_").replace(",", "")
        own.mkdir()
        begun = time.monotonic()
        found = measure(name, way, own, dead=dead)
        print(
            f"{time.monotonic() - begun:4.0f} s",
            row(name, way, found),
            *found.notes,
            sep="\n    ",
            flush=True,
        )
        return row(name, way, found)

    with ThreadPoolExecutor(at_once) as pool:
        rows = list(pool.map(one, [(name, way) for name in names for way in (OURS, PROMETHEUS)]))
    return HEAD.format(dead=dead) + "".join(f"{row}\n" for row in rows)


def write(made: str, page: Path) -> None:
    """Write the table into a page, between its marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{made}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        measured = table(sys.argv[1:] or list(SERVERS), Path(work))
    if sys.argv[1:]:
        print(measured)
    else:
        write(measured, ROOT / "docs" / "workers.md")
