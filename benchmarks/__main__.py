"""Run the benchmark, or a part of it: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks import request_cost
from benchmarks.apps import FRAMEWORKS
from benchmarks.cases import cases
from benchmarks.variants import VARIANTS

_SECONDS = {False: 0.5, True: 4.0}  # for each row, short and full

Part = Callable[[argparse.Namespace], dict[str, Any]]


def main() -> None:
    """Run the parts that are asked for."""
    given = _arguments()
    started = time.monotonic()
    results: dict[str, Any] = {}
    for name in given.only:
        results |= PARTS[name](given)
    print(f"{time.monotonic() - started:.0f} s")


def _request(given: argparse.Namespace) -> dict[str, Any]:
    chosen = cases(given.frameworks, is_full=given.full, variants=given.variants)
    if given.routes:
        chosen = (case for case in chosen if case.routes in given.routes)
    return {"request": request_cost.measure(chosen, seconds=given.seconds or _SECONDS[given.full])}


PARTS: dict[str, Part] = {"request": _request}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every row, and longer")
    parser.add_argument("--only", type=_some_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument(
        "--frameworks", type=_some_of(FRAMEWORKS), default=list(FRAMEWORKS), help=f"of {','.join(FRAMEWORKS)}"
    )
    parser.add_argument("--variants", type=_some_of(VARIANTS), default=[], help=f"of {','.join(VARIANTS)}")
    parser.add_argument("--routes", type=lambda text: [int(part) for part in text.split(",")], default=[])
    parser.add_argument("--seconds", type=float, help="how long to measure each row")
    return parser.parse_args()


def _some_of(known: Any) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"wants some of {', '.join(known)}, got {name}")
        return names

    return parse


if __name__ == "__main__":
    main()
