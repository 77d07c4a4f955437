"""A process that holds one app and does with it what its parent asks; the parent's side is `workers.py`.

    python -m benchmarks.worker '{"framework": "flask", "variant": "bare", "routes": 1, "fill": "", "answers": 5}'

Questions come as lines of JSON on standard input and are answered on the descriptor named; standard output is the log.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import garbage, memory, scrape, telemetry
from benchmarks.apps import build, is_asgi
from benchmarks.drive import driver
from benchmarks.proof import prove
from benchmarks.variants import VARIANTS

_NANOSECONDS = 1000  # in a microsecond


class Worker:
    """Serve one app.

    Args:
        routes: how many there are; the last one is hit.
        fill: what the registry holds besides, see `registries`; nothing if empty.
    """

    def __init__(self, framework: str, variant: str, routes: int, fill: str) -> None:
        if "spans" in VARIANTS[variant].tells:
            telemetry.drop_spans()
        self.variant = variant
        self.driver = driver(build(framework, variant, routes=routes), is_asgi=is_asgi(framework))
        if fill:
            from benchmarks import registries  # brings prometheus-client, which is not the bare app's

            registries.fill(fill)
        self.path = f"/r{routes - 1}/42"
        self._spent = 0
        self.tasks: dict[str, Callable[..., Any]] = {
            "prove": self._prove,
            "repeat": self._repeat,
            "memory": memory.resident,
            "walk": lambda **given: memory.walk(self.driver, **given),
            "page": lambda: self.driver.ask("/metrics") and None,
            "series": lambda **given: memory.series(self.driver, **given),
            "garbage": lambda count: garbage.collections(lambda: self.driver.repeat(self.path, count)),
            "stall": lambda **given: scrape.stall(self.driver, **given),
            "pages": scrape.pages,
        }

    def _prove(self) -> None:
        prove(self.driver, self.variant, self.path)

    def _repeat(self, count: int, path: str = "", has_flush: bool = False) -> float:
        """Return the microseconds of CPU for each request, of all threads, since the last time that we were asked.

        So what a background thread does for the requests before is in it too.
        """
        self.driver.repeat(path or self.path, count)
        if has_flush:
            telemetry.flush()
        before, self._spent = self._spent, time.process_time_ns()
        return (self._spent - before) / count / _NANOSECONDS


def main() -> None:
    """Answer until there is no more question."""
    given = json.loads(sys.argv[1])
    answers = os.fdopen(given["answers"], "w")
    worker = Worker(given["framework"], given["variant"], given["routes"], given["fill"])
    print("null", file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        answer = worker.tasks[question.pop("do")](**question)
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # nothing is left to be sent


if __name__ == "__main__":
    main()
