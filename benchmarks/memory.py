"""What an app holds in memory, and how many series its metrics page has, before and after all sorts of requests."""

from __future__ import annotations

import gc
import gzip
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.drive import SCRAPE_HEADERS, Driver
from benchmarks.variants import VARIANTS

ROUTES = 1000
UNKNOWN = 10_000
REQUESTS = 100_000


def resident() -> dict[str, float]:
    """Return megabytes of this process after a full collection: resident, proportional, its own alone.

    Flask leaves cycles with each unknown path: when the last collection was would be a matter of chance, of 1.2 MB.
    """
    gc.collect()
    status = Path("/proc/self/status").read_text()
    rollup = Path("/proc/self/smaps_rollup").read_text()
    own = sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty): *(\d+)", rollup, re.MULTILINE))
    return {
        "rss": _kilobytes("VmRSS", status) / 1024,
        "pss": _kilobytes("Pss", rollup) / 1024,
        "uss": own / 1024,
    }


def walk(driver: Driver, *, count: int, routes: int, unknown: int) -> None:
    """Make `count` requests over all routes in turn, and among them `unknown` more to paths that nobody has."""
    step = max(1, count // unknown) if unknown else count + 1
    for number in range(count):
        driver.repeat(f"/r{number % routes}/{number}", 1)
        if number % step == 0:
            driver.ask(f"/unknown-{number}/x{number}")


def series(driver: Driver, *, unknown: int) -> dict[str, int]:
    """Return the lines of the metrics page after one unknown path and method, and after many."""
    for method in ("GET", "X"):
        driver.ask("/r0/42", method=method)
        driver.ask("/unknown/x", method=method)
    before = _lines(driver)
    for number in range(unknown):
        driver.ask(f"/unknown-{number}/x")
        driver.ask("/r0/42", method=f"X{number}")
    return {"before": before, "after": _lines(driver)}


def measure(pairs: Iterable[tuple[str, str]], *, count: int, unknown: int = UNKNOWN) -> list[dict[str, Any]]:
    """Return one row for each framework and variant: megabytes at four moments. Spans are encoded and sent."""
    from benchmarks.sink import Sink
    from benchmarks.workers import Process

    rows = []
    for framework, variant in pairs:
        with ExitStack() as stack:
            sink = Sink(stack)
            endpoint = sink.endpoint()
            worker = stack.enter_context(Process(framework, variant, routes=ROUTES, endpoint=endpoint))
            built = worker.ask("memory")
            worker.ask("repeat", count=1)
            first = worker.ask("memory")
            worker.ask("walk", count=count, routes=ROUTES, unknown=unknown)
            after = worker.ask("memory")
            worker.ask("page")
            page = worker.ask("memory")
            if "spans" in VARIANTS[variant].tells and not sink.received():
                raise AssertionError(f"{framework} {variant}: nothing has come to the sink")
        rows.append(
            {
                "framework": framework,
                "variant": variant,
                "requests": count,
                "import": built,
                "first": first,
                "after": after,
                "page": page,
            }
        )
    return rows


def measure_series(pairs: Iterable[tuple[str, str]], *, unknown: int = UNKNOWN) -> list[dict[str, Any]]:
    """Return one row for each framework and variant: lines of the page, before and after."""
    from benchmarks.workers import Process

    rows = []
    for framework, variant in pairs:
        with Process(framework, variant) as worker:
            counted = worker.ask("series", unknown=unknown)
        rows.append({"framework": framework, "variant": variant, "unknown": unknown, **counted})
    return rows


def _kilobytes(name: str, text: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _lines(driver: Driver) -> int:
    page = driver.ask("/metrics", headers={**SCRAPE_HEADERS, "accept-encoding": "identity"})
    body = gzip.decompress(page.body) if page.headers.get("content-encoding") == "gzip" else page.body
    return sum(1 for line in body.splitlines() if not line.startswith(b"#"))
