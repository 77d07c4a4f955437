"""Instructions for each request: what a noisy machine does not change.

They are those of many requests less those of a few, divided by how many more they were: what happens once
is in neither. `perf`
counts them where the machine lets it, else valgrind's callgrind, which runs the app many times slower. Callgrind
counts from the first of the requests on, because importing takes longer than they do.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.earlier import PREFIX
from benchmarks.workers import ROOT, environment

_REQUESTS = {"item": (64, 320), "stream": (64, 128)}  # multiples of the records that ours writes at once
_MARKS = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void dump(void) { CALLGRIND_DUMP_STATS; }
"""
Count = Callable[[dict[str, Any], Path, tuple[int, int]], float]


class NotCounted(RuntimeError):
    """The process whose instructions are counted has failed."""


def measure(
    chosen: Iterable[Case], *, before: Path = ROOT, report: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Return one row for each case; none where nothing can count.

    Args:
        before: where the earlier commit is installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        count = _counter(Path(folder))
        if count is None:
            report(
                "instructions are not counted: neither perf nor valgrind with a C compiler can be used here"
            )
            return []

        def row(case: Case) -> dict[str, Any]:
            requests = _REQUESTS[case.kind]
            given = {
                "framework": case.framework,
                "variant": case.variant,
                "routes": case.routes,
                "path": "/stream" if case.kind == "stream" else "",
                "marks": "",
            }
            where = before if case.variant.startswith(PREFIX) else ROOT
            got = {**case._asdict(), "instructions": count(given, where, requests)}
            report(
                f"{case.framework:<12}{case.routes:>4} {case.kind:<7}{case.variant:<19}{got['instructions']:.0f}"
            )
            return got

        with ThreadPoolExecutor(2) as threads:  # a count is the same however busy the machine is
            return list(threads.map(row, chosen))


def _counter(folder: Path) -> Count | None:
    if _has_perf():
        return _by_perf
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not shutil.which("valgrind") or compiler is None:
        return None
    (folder / "marks.c").write_text(_MARKS)
    marks = folder / "marks.so"
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(marks), str(folder / "marks.c")],
        capture_output=True,
        check=False,
    )
    if made.returncode:  # no valgrind/callgrind.h
        return None
    return lambda given, where, requests: _by_callgrind({**given, "marks": str(marks)}, where, requests)


def _has_perf() -> bool:
    if not shutil.which("perf"):
        return False
    command = ["perf", "stat", "-x,", "-e", "instructions:u", "true"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode == 0 and said.stderr[:1].isdigit()


def _by_perf(given: dict[str, Any], where: Path, requests: tuple[int, int]) -> float:
    counts = []
    for number in requests:
        command = ["perf", "stat", "-x,", "-e", "instructions:u"]
        said = _run(command, {**given, "requests": [number]}, where)
        lines = [line for line in said.splitlines() if "instructions:u" in line]
        counts.append(int(lines[-1].partition(",")[0]))
    return (counts[1] - counts[0]) / (requests[1] - requests[0])


def _by_callgrind(given: dict[str, Any], where: Path, requests: tuple[int, int]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        _run(command, {**given, "requests": requests}, where)
        counts = [totals((Path(folder) / f"out.{number}").read_text()) for number in (1, 2)]
    return (counts[1] - counts[0]) / (requests[1] - requests[0])


def totals(text: str) -> int:
    """Return what a file of callgrind has counted."""
    return int(re.findall(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[-1])


def _run(command: list[str], given: dict[str, Any], where: Path) -> str:
    done = subprocess.run(
        [*command, sys.executable, "-m", "benchmarks.counted", json.dumps(given)],
        cwd=where,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotCounted(f"{given['framework']} {given['variant']}: {done.stderr[-2000:]}")
    return done.stderr
