"""Run the benchmark, or a part of it: `python -m benchmarks --help`. A whole run is written, a part is printed."""

from __future__ import annotations

import argparse
import atexit
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any

from benchmarks import earlier, end_to_end, garbage, instructions, memory, request_cost, scrape, written
from benchmarks.apps import FRAMEWORKS
from benchmarks.cases import cases, counted
from benchmarks.machine import machine
from benchmarks.report import whole
from benchmarks.servers import NoWrk, check
from benchmarks.summary import rounded
from benchmarks.variants import VARIANTS

Part = Callable[[argparse.Namespace], dict[str, Any]]


def main() -> None:
    """Run the parts that are asked for.

    Raises:
        SystemExit: what they need is not installed.
    """
    given = _arguments()
    if {"server", "scrape"} & set(given.only):
        try:
            check()
        except NoWrk as missing:
            raise SystemExit(
                f"{missing}; without it: --only request,instructions,memory,garbage"
            ) from missing
    stack = ExitStack()
    atexit.register(stack.close)
    started = time.monotonic()
    given.before = earlier.build(given.against, stack) if given.against else earlier.ROOT
    results: dict[str, Any] = {"machine": machine(), "form": "full" if given.full else "short"}
    results["against"] = given.against
    for name in given.only:
        print(f"-- {name}, after {time.monotonic() - started:.0f} s", flush=True)
        results |= PARTS[name](given)
    results["seconds"] = time.monotonic() - started
    stack.close()
    results = rounded(results)
    if _is_whole(given):
        written.write(results)
    else:
        print(whole(results))


def _is_whole(given: argparse.Namespace) -> bool:
    is_all = set(given.only) == set(PARTS) and set(given.frameworks) == set(FRAMEWORKS)
    return is_all and not given.variants and not given.routes


def _request(given: argparse.Namespace) -> dict[str, Any]:
    chosen = cases(
        given.frameworks, is_full=given.full, variants=given.variants, has_before=bool(given.against)
    )
    if given.routes:
        chosen = (case for case in chosen if case.routes in given.routes)
    seconds = given.seconds or (4.0 if given.full else 0.5)
    return {"request": request_cost.measure(chosen, seconds=seconds, before=given.before)}


def _instructions(given: argparse.Namespace) -> dict[str, Any]:
    chosen = counted(given.frameworks, is_full=given.full, has_before=bool(given.against))
    rows = [
        case
        for case in chosen
        if (not given.routes or case.routes in given.routes)
        and (not given.variants or case.variant in ("bare", *given.variants))
    ]
    return {"instructions": instructions.measure(rows, before=given.before)}


def _server(given: argparse.Namespace) -> dict[str, Any]:
    how = {"rounds": 7, "seconds": 5.0} if given.full else {"rounds": 5, "seconds": 2.0}
    asked = [name for name in ("fastapi", "flask") if name in given.frameworks]
    return {"server": [row for name in asked for row in end_to_end.measure(name, **how)]}  # type: ignore[arg-type]


def _scrape(given: argparse.Namespace) -> dict[str, Any]:
    scraped = end_to_end.measure_scraped(rounds=7 if given.full else 3, seconds=5 if given.full else 3)
    return {**scrape.measure(scrapes=5 if given.full else 1), "scraped": scraped}


def _memory(given: argparse.Namespace) -> dict[str, Any]:
    names = ("bare", "assembled-10", "ours-no-sdk", "ours-10")
    asked = [name for name in ("flask", "fastapi") if name in given.frameworks]
    pairs = [(framework, name) for framework in (asked if given.full else asked[:1]) for name in names]
    observed = [(framework, name) for framework in asked for name in ("assembled-10", "ours-10")]
    return {
        "memory": memory.measure(pairs, count=memory.REQUESTS if given.full else 30_000),
        "series": memory.measure_series(observed, unknown=memory.UNKNOWN if given.full else 2000),
    }


def _garbage(given: argparse.Namespace) -> dict[str, Any]:
    names = ("bare", "otel-100", "assembled-100", "ours-0", "ours-10", "ours-100")
    asked = [name for name in FRAMEWORKS if name in given.frameworks] if given.full else ["fastapi"]
    return {"garbage": garbage.measure([(framework, name) for framework in asked for name in names])}


PARTS: dict[str, Part] = {
    "request": _request,
    "instructions": _instructions,
    "server": _server,
    "scrape": _scrape,
    "memory": _memory,
    "garbage": _garbage,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every row, and longer")
    parser.add_argument("--only", type=_some_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument(
        "--frameworks", type=_some_of(FRAMEWORKS), default=list(FRAMEWORKS), help=f"of {','.join(FRAMEWORKS)}"
    )
    parser.add_argument("--variants", type=_some_of(VARIANTS), default=[], help=f"of {','.join(VARIANTS)}")
    parser.add_argument("--routes", type=_numbers, default=[], help="of 1,30,200")
    parser.add_argument("--against", metavar="COMMIT", help="measure this earlier commit of ours too")
    parser.add_argument("--seconds", type=float, help="how long to measure each row of the requests")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"wants some of {', '.join(known)}, got {name}")
        return names

    return parse


if __name__ == "__main__":
    main()
