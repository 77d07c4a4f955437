"""What the garbage collector has to do for 10 000 requests."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

REQUESTS = 10_000


def collections(run: Callable[[], None]) -> dict[str, Any]:
    """Return the collections of each generation while something runs, and the longest of them in milliseconds."""
    counts, longest, started = [0, 0, 0], 0.0, 0.0

    def noted(phase: str, info: dict[str, int]) -> None:
        nonlocal longest, started
        if phase == "start":
            started = time.perf_counter()
        else:
            counts[info["generation"]] += 1
            longest = max(longest, time.perf_counter() - started)

    gc.collect()
    gc.callbacks.append(noted)
    try:
        run()
    finally:
        gc.callbacks.remove(noted)
    return {"collections": counts, "longest_ms": longest * 1000}


def measure(pairs: Iterable[tuple[str, str]], *, count: int = REQUESTS) -> list[dict[str, Any]]:
    """Return one row for each framework and variant."""
    from benchmarks.workers import Process

    rows = []
    for framework, variant in pairs:
        with Process(framework, variant) as worker:
            worker.ask("prove")
            worker.ask("repeat", count=1000)
            rows.append({"framework": framework, "variant": variant, **worker.ask("garbage", count=count)})
    return rows
