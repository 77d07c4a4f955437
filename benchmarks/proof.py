"""Before an app is timed: its answers are right, and every signal that its variant stands for is really there."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks import telemetry
from benchmarks.drive import SCRAPE_HEADERS, Driver
from benchmarks.earlier import PREFIX, is_compiled
from benchmarks.variants import VARIANTS

_REQUESTS = 300


class NotSeen(AssertionError):
    """A variant does not do what its time would be believed for."""


def prove(driver: Driver, variant: str, path: str) -> None:
    """Make some hundred requests and look for what they leave behind.

    Raises:
        NotSeen: the answer is wrong, or a signal is missing, or there is one too many.
    """
    sampled = telemetry.exported[0]
    written = _size()
    answer = driver.ask(path)
    driver.repeat(path, _REQUESTS)
    _expect(answer.status == 200 and json.loads(answer.body) == {"item": 42}, "the right answer", answer)
    told = VARIANTS[variant].tells
    if variant.startswith(("ours", PREFIX)):
        _expect(is_compiled() == VARIANTS[variant].is_compiled, "the compiled request path, or none", None)
    _expect(("x-request-id" in answer.headers) == ("id" in told), "X-Request-ID, if any", answer.headers)
    _prove_page(driver, path, "metrics" in told)
    lines = _lines_since(written)
    _expect(bool(lines) == ("line" in told), "access lines, if any", lines)
    if lines:
        whole = json.loads(lines[0])
        _expect(len(lines) >= _REQUESTS and whole["path"] == path, "a line for each request", whole)
    if "spans" in told:
        _prove_spans(sampled, VARIANTS[variant].ratio)


def _prove_page(driver: Driver, path: str, is_wanted: bool) -> None:
    try:
        page = driver.ask("/metrics", headers={**SCRAPE_HEADERS, "accept-encoding": "identity"})
        text = page.body.decode() if page.status == 200 else ""
    except ValueError:  # the raw app knows no path of one part
        text = ""
    name = path.split("/")[1]
    seen = [
        line for line in text.splitlines() if name in line and "count" in line and not line.startswith("#")
    ]
    counted = any(float(line.rpartition(" ")[2]) >= _REQUESTS for line in seen)
    _expect(counted == is_wanted, "the route's series, if any", seen)


def _prove_spans(before: int, ratio: float) -> None:
    telemetry.flush()
    if telemetry.endpoint() != telemetry.DEAD_END:
        return  # the sink counts them
    seen = telemetry.exported[0] - before
    least, most = (0, 0) if ratio == 0 else (1, _REQUESTS) if ratio < 1 else (_REQUESTS, 10 * _REQUESTS)
    _expect(least <= seen <= most, f"{least} to {most} spans", seen)


def _size() -> int:
    sys.stdout.flush()
    return os.fstat(sys.stdout.fileno()).st_size


def _lines_since(start: int) -> list[str]:
    written = os.pread(sys.stdout.fileno(), _size() - start, start)
    return [line for line in written.decode().splitlines() if '"path"' in line]


def _expect(is_so: bool, wanted: str, got: Any) -> None:
    if not is_so:
        raise NotSeen(f"wanted {wanted}, got {str(got)[:600]}")
