"""CPU time that a variant adds to a request, in process, with no socket in between.

The bare app and every variant of it, with few routes and with many, live in processes of their own. They take turns on
one core, the bare app before every variant. So what else the machine does meanwhile falls on all of them alike. A turn
is as many requests as the bare app answers in 60 ms.

How an app's objects lie in memory and in its dictionaries is a matter of chance. Where requests are long, with many
routes and of Django under ASGI, that matters. There the bare app, a request ID alone and ours have three processes
each, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.earlier import PREFIX
from benchmarks.sink import Sink
from benchmarks.summary import summary
from benchmarks.variants import VARIANTS
from benchmarks.workers import ROOT, Process

_WARM_UP = 1000
_TURN_US = 60_000  # of the bare app: each turn begins with caches that other workers have filled
_FEWEST, _MOST = 50, 800  # requests in a turn
_BATCH = 512  # spans in a batch of the SDK
_LEAST_ROUNDS = {"drop": 9, "otlp": 5}
# Where requests are long there are as many processes of each of these; one of the others.
_PROCESSES = dict.fromkeys(("bare", "request-id", "ours-10", "ours-100", "before-10", "before-100"), 3)

Pair = tuple[float, float]


def measure(
    chosen: Iterable[Case],
    *,
    seconds: float,
    before: Path = ROOT,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Return one row for each case.

    Args:
        seconds: how long to measure each case, at least.
        before: where the earlier commit is installed.
    """
    rows = []
    for _, group in groupby(chosen, key=lambda case: (case.framework, case.kind, case.exporter)):
        for row in _together(list(group), seconds, before):
            rows.append(row)
            report(told(row))
    return rows


def _together(group: list[Case], seconds: float, before: Path = ROOT) -> list[dict[str, Any]]:
    path = "/stream" if group[0].kind == "stream" else ""
    with ExitStack() as stack:
        sink = Sink(stack) if group[0].exporter == "otlp" else None
        first = {case.routes: case._replace(variant="bare") for case in group}
        bare = {routes: _ready(stack, case, path, None) for routes, case in first.items()}
        others = [(case, _ready(stack, case, path, sink, before)) for case in group]
        times = _take_turns(bare, others, seconds * len(others), path=path, has_flush=sink is not None)
    return [{**case._asdict(), **_row(times[case])} for case in group]


def _ready(stack: ExitStack, case: Case, path: str, sink: Sink | None, before: Path = ROOT) -> list[Process]:
    """Return the processes of a case: seen to do what it stands for, and warm."""
    endpoint = sink.endpoint() if sink and case.variant != "bare" else None
    ready = []
    is_long = case.routes > 1 or case.framework == "django-asgi"
    for seed in range(_PROCESSES.get(case.variant, 1) if is_long else 1):
        folder = before if case.variant.startswith(PREFIX) else ROOT
        worker = Process(
            case.framework, case.variant, routes=case.routes, endpoint=endpoint, seed=seed, folder=folder
        )
        ready.append(stack.enter_context(worker))
        worker.ask("prove")
        if sink and endpoint and sink.received() == 0:
            raise AssertionError(f"{case}: nothing has come to the sink")
        worker.ask("repeat", count=_WARM_UP if case.kind == "item" else _WARM_UP // 5, path=path)
    return ready


def _take_turns(
    bare: dict[int, list[Process]], others: list[tuple[Case, list[Process]]], seconds: float, **what: Any
) -> dict[Case, list[Pair]]:
    times: dict[Case, list[Pair]] = {case: [] for case, _ in others}
    end, rounds = time.monotonic() + seconds, 0
    for worker in (worker for _, workers in others for worker in workers):
        worker.ask("repeat", count=_FEWEST, **what)
    spent = {
        routes: min(worker.ask("repeat", count=_FEWEST, **what) for worker in workers for _ in range(3))
        for routes, workers in bare.items()
    }
    while rounds < _LEAST_ROUNDS[others[0][0].exporter] or time.monotonic() < end:
        rounds += 1
        for case, workers in others if rounds % 2 else reversed(others):
            count, which = _turn(case, spent[case.routes]), rounds % len(workers)
            first = bare[case.routes][which].ask("repeat", count=count, **what)
            times[case].append((first, workers[which].ask("repeat", count=count, **what)))
    return times


def _turn(case: Case, bare_us: float) -> int:
    """Return how many requests make a turn."""
    if case.exporter == "otlp":  # one batch for each turn, so that each has its part of the encoding
        return int(_BATCH * 0.95 / VARIANTS[case.variant].ratio)
    return min(max(int(_TURN_US / bare_us), _FEWEST), _MOST)


def _row(pairs: list[Pair]) -> dict[str, Any]:
    return {
        "bare_us": summary([bare for bare, _ in pairs])["median"],
        "added_us": summary([other - bare for bare, other in pairs]),
        "pairs": len(pairs),
    }


def told(row: dict[str, Any]) -> str:
    """Return a row for people."""
    where = (
        f"{row['framework']:<12}{row['routes']:>4} {row['kind']:<7}{row['exporter']:<5}{row['variant']:<19}"
    )
    added = row["added_us"]
    return (
        f"{where}+{added['median']:7.1f} µs  ({added['low']:.1f} to {added['high']:.1f})  "
        f"bare {row['bare_us']:.1f}, {row['pairs']} pairs"
    )
