"""What a scrape tells of several workers: ours beside prometheus-client's multi-process mode, on real servers.

`python -m tests.real.worker_table` measures all servers and writes the table into docs/workers.md; with names of
servers it prints theirs alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.installed import ROOT
from tests.real.worker_app import SHOPS, WITH_HOOK
from tests.real.worker_servers import (
    CLIENTS,
    OURS,
    PATIENCE_SECONDS,
    PROMETHEUS,
    SERVERS,
    WORKERS,
    Page,
    Traffic,
    Way,
    environment,
    serving,
)
from tests.running import Server

DEAD = 100
_SCRAPES, _SCRAPE_SECONDS = (
    (15, 60),
    3.0,
)  # of each server, for a median: at least, at most unless it takes long
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


YES, NO, ENDS = "yes", "**no**", "the server ends"


class Found(NamedTuple):
    """What one way gave on one server, in words of the table."""

    sums: str
    exemplars: str
    after_kill: str
    gauge: str
    after_recycling: str
    process_metrics: int  # series of resident memory, each of one worker
    scrape_seconds: float
    scrape_seconds_with_dead: float
    notes: list[str]  # numbers that were not as they should be


def measure(name: str, way: Way, folder: Path, *, dead: int = DEAD) -> Found:
    """Start a server three times (as it is, with recycling, beside dead workers) and compare it with its clients."""
    notes: list[str] = []
    recycling = SERVERS[name].recycling
    group = {"OBS_METRICS_WORKERS": "shop"} if way.is_ours else {}
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(serving(name, way, folder / "plain"))
        beside_dead = stack.enter_context(serving(name, way, folder / "dead", **group))
        traffic = Traffic(plain)
        traffic.until_all_workers_have_answered()
        sums = _sums(plain, traffic, notes)
        page = _page_of_all(plain, way)
        others = Traffic(beside_dead)
        others.until_all_workers_have_answered()
        _leave_dead(name, way, folder / "dead", dead, group)
        sums = _sums(beside_dead, others, notes, dead=dead * SHOPS) and sums
        without, with_dead = _scrape_seconds(plain, beside_dead)
        killed, gauge = _kill(plain, traffic, notes)
    with serving(name, way, folder / "recycling", *recycling) as server:
        recycled = _recycle(server, notes, has_option=bool(recycling))
    return Found(
        sums=YES if sums else NO,
        exemplars=YES if ' # {trace_id="0af7651916cd43dd8448eb211c80319c"}' in page.text else NO,
        after_kill=killed,
        gauge=gauge,
        after_recycling=recycled,
        process_metrics=page.process_metrics,
        scrape_seconds=without,
        scrape_seconds_with_dead=with_dead,
        notes=notes,
    )


def _page_of_all(server: Server, way: Way) -> Page:
    """Scrape; ours until each worker has told of its process, which one that is late does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        page = Page.of(server, _OPENMETRICS)
        if page is not None and (not way.is_ours or page.process_metrics == WORKERS):
            return page
        assert time.monotonic() < deadline, server.stderr
        time.sleep(0.05)


def _sums(server: Server, traffic: Traffic, notes: list[str], *, dead: int = 0) -> bool:
    """Tell whether each of several pages, asked for at once, has what clients have counted, and the dead."""
    assert traffic.answered == traffic.sent, server.stderr
    with ThreadPoolExecutor(CLIENTS) as pool:
        pages = [page for page in pool.map(lambda _: Page.of(server), range(CLIENTS * 2)) if page is not None]
    found = {(page.orders, page.observed) for page in pages}
    wanted = {(traffic.answered + dead, traffic.answered + dead)}
    if found != wanted:
        notes.append(f"sums: {found}, not {wanted}")
    return found == wanted


def _leave_dead(name: str, way: Way, folder: Path, count: int, settings: dict[str, str]) -> None:
    """Have workers count and be killed, whose numbers the server's page has; where it has a hook, it is called."""
    hook = {WITH_HOOK: "1"} if not way.is_ours and name.startswith("gunicorn") else {}
    subprocess.run(
        [sys.executable, "-m", "tests.real.worker_app", str(count)],
        env=environment() | way.environment(folder) | settings | hook,
        check=True,
        timeout=250,
    )


def _scrape_seconds(*servers: Server) -> list[float]:
    """Return the median of each server's scrapes, which take turns."""
    seconds: list[list[float]] = [[] for _ in servers]
    fewest, most = _SCRAPES
    end = time.monotonic() + _SCRAPE_SECONDS
    while len(seconds[0]) < fewest or (len(seconds[0]) < most and time.monotonic() < end):
        for server, own in zip(servers, seconds, strict=True):
            begun = time.perf_counter()
            server.get("/metrics")
            own.append(time.perf_counter() - begun)
    return [statistics.median(own) for own in seconds]


def _kill(server: Server, traffic: Traffic, notes: list[str]) -> tuple[str, str]:
    """Kill a worker under load; tell whether the counter stays right, and the gauge of living workers."""
    known = set(traffic.workers)

    def kill() -> None:
        os.kill(known.copy().pop(), signal.SIGKILL)

    survived = _disturb(traffic, kill, lambda: bool(traffic.workers - known), notes)
    if survived == ENDS:
        return ENDS, ENDS
    traffic.until_all_workers_have_answered()
    page = Page.of(server)
    depth = page.sum("depth") if page is not None else None
    if depth != WORKERS:
        notes.append(f"kill: gauge {depth}, not {WORKERS}")
    return survived, YES if depth == WORKERS else NO


def _recycle(server: Server, notes: list[str], *, has_option: bool) -> str:
    traffic = Traffic(server)
    traffic.until_all_workers_have_answered()
    known = set(traffic.workers)

    def renew() -> None:
        if not has_option:
            server.process.send_signal(signal.SIGHUP)

    return _disturb(traffic, renew, lambda: len(traffic.workers - known) >= WORKERS, notes)


def _disturb(
    traffic: Traffic, disturb: Callable[[], None], is_over: Callable[[], bool], notes: list[str]
) -> str:
    """Scrape under load, before and after workers end; tell whether each page has what it must.

    That is no less than the page before, all that was answered before the scrape, and no more than was sent until
    its end.
    """
    server, last, pages, failed = traffic.server, 0.0, 0, 0
    wrong: list[str] = []
    with traffic.flowing():
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_over() or pages < 10:
            if server.process.poll() is not None:
                return ENDS
            assert time.monotonic() < deadline, f"no new worker\n{server.stderr}"
            before = traffic.answered
            page = Page.of(server)
            after = traffic.sent
            if page is not None and page.fails:
                failed += 1
            elif page is not None:
                if not max(before, last) <= page.orders <= after:
                    wrong.append(f"{page.orders}, after {last}; {before} answered, {after} sent")
                last, pages = page.orders, pages + 1
            if pages == 5:
                disturb()
                pages += 1
    page = _page_at_last(server)
    if page is None:
        return ENDS
    if not max(traffic.answered, last) <= page.orders <= traffic.sent or page.orders != page.observed:
        wrong.append(f"at the end {page.orders} ({page.observed} observed); {traffic.answered} answered")
    notes += [f"{disturb.__name__}: {text}" for text in wrong]
    return NO if wrong else f"**scrapes failed: {failed}**" if failed else YES


def _page_at_last(server: Server) -> Page | None:
    """Scrape until somebody answers; None: the server has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (page := Page.of(server)) is None and server.process.poll() is None:
        assert time.monotonic() < deadline, server.stderr
        time.sleep(0.05)
    return page


HEAD = """\
| server | whose | sums right | exemplars | kill -9: counter right | … gauge of the living | recycled: counter right |\
 workers with process metrics | scrape with {dead} dead workers ÷ none, ms |
|---|---|---|---|---|---|---|---|---|
"""
BEGIN, END = "<!-- made by `make workers` -->\n", "<!-- end -->\n"


def row(name: str, way: Way, found: Found) -> str:
    """Return one row of the table."""
    ratio = found.scrape_seconds_with_dead / found.scrape_seconds
    milliseconds = f"{found.scrape_seconds_with_dead * 1e3:.1f} ÷ {found.scrape_seconds * 1e3:.1f}"
    cells = (name, way.name, *found[:5], str(found.process_metrics), f"{ratio:.1f} ({milliseconds})")
    return f"| {' | '.join(cells)} |"


def table(
    names: list[str],
    folder: Path,
    *,
    ways: tuple[Way, ...] = (OURS, PROMETHEUS),
    dead: int = DEAD,
    at_once: int = 2,
) -> str:
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
        rows = list(pool.map(one, [(name, way) for name in names for way in ways]))
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
