"""What a scrape costs: the page's time, and how long the event loop stands still meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from typing import Any

from benchmarks.drive import SCRAPE_HEADERS
from benchmarks.summary import summary

_TICK = 0.001
_STALLS = 5


def our_page(*, is_gzip: bool) -> bytes:
    """Return the page of ours; the one place that knows what it is rendered by."""
    from prometheus_client import REGISTRY

    from obs_middleware.metrics.exposition.page import MetricsPage

    page, _ = MetricsPage(REGISTRY).render(accept="text/plain", accept_encoding="gzip" if is_gzip else "")
    return page


def their_page(*, is_gzip: bool) -> bytes:
    """Return the page of prometheus-client, compressed as its ASGI app does."""
    from prometheus_client import REGISTRY, generate_latest

    page = generate_latest(REGISTRY)
    return gzip.compress(page) if is_gzip else page


def pages(fill: str, scrapes: int) -> list[dict[str, Any]]:
    """Fill the registry and render it by both, plain and compressed; return the milliseconds of each."""
    from benchmarks import registries

    touch = registries.fill(fill)
    rows = []
    for is_gzip in (False, True):
        ours, theirs = (_times(page, touch, is_gzip, scrapes) for page in (our_page, their_page))
        rows.append({"fill": fill, "gzip": is_gzip, "ours": ours, "theirs": theirs})
    return rows


def _times(
    page: Callable[..., bytes], touch: Callable[[], None], is_gzip: bool, scrapes: int
) -> dict[str, Any]:
    """Return the CPU time of the first page, and of those after it: requests come between two scrapes."""
    spent = []
    content = b""
    for _ in range(scrapes + 1):
        touch()
        before = time.process_time()
        content = page(is_gzip=is_gzip)
        spent.append((time.process_time() - before) * 1000)
    text = gzip.decompress(content) if is_gzip else content
    samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    return {
        "first_ms": spent[0],
        "ms": summary(spent[1:])["median"],
        "samples": samples,
        "bytes": len(content),
    }


def stall(driver: Any, *, path: str) -> dict[str, float]:
    """Return the longest time in milliseconds that a task of the event loop waited, quiet and while scraped."""
    result: dict[str, float] = driver.run(_stall(driver, path))
    return result


async def _stall(driver: Any, path: str) -> dict[str, float]:
    late: list[float] = []
    ticker = asyncio.get_running_loop().create_task(_tick(late))
    headers = {**SCRAPE_HEADERS, "accept-encoding": "gzip", "accept": "text/plain"}
    await driver.call(path, headers)
    await asyncio.sleep(0.01)
    late.clear()
    await asyncio.sleep(1)
    quiet = list(late)
    late.clear()
    for _ in range(_STALLS):
        await driver.call(path, headers)
        await asyncio.sleep(0.02)  # the late tick is noted
    ticker.cancel()
    return {"quiet_ms": max(quiet) * 1000, "longest_ms": max(late) * 1000}


async def _tick(late: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_TICK)
        late.append(time.perf_counter() - before - _TICK)


def measure(*, scrapes: int) -> dict[str, Any]:
    """Return the rows of the pages and of the stalls."""
    from benchmarks.workers import Process

    rows = []
    for fill in ("ours", "user", "counters"):
        with Process("asgi", "bare") as worker:
            rows += worker.ask("pages", fill=fill, scrapes=scrapes)
    stalls = []
    for variant, fill, path in SCRAPED:
        with Process("fastapi", variant, fill=fill) as worker:
            stalls.append({"variant": variant, "fill": fill, **worker.ask("stall", path=path)})
    return {"pages": rows, "stalls": stalls}


SCRAPED = (
    ("ours-metrics", "ours-same-size", "/metrics"),
    ("ours-metrics", "user", "/metrics"),
    ("exposed", "user", "/metrics/"),
)
