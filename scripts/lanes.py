#!/usr/bin/env python3
"""Run the lanes of CI side by side, and tell at the end what each of them has said.

    scripts/lanes.py [name ...]     all lanes, or these

A lane is one command. Its output goes to a file, which is printed when the lane ends. What has come of its tests goes
to another file, from which the sums are made. The last lines are pytest's own: all tests of all lanes, and each lane as
one test more.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".ci" / "out"
PYTHON = ROOT / ".venv" / "bin" / "python"  # sums up
MAKE_PYTHON = ["make", "-s", ".venv/.installed"]  # where no lane has made it
LANES_AT_ONCE = 2
WORKERS = 2  # of pytest in each lane: tests wait as much as they work
TAIL_LINES = 150

# What is handed to pytest.
# What parses queries, and what has servers that the newest Python can't install: gevent and uWSGI.
MONITORING = (
    "tests/core/cli/lint tests/project/test_command_line.py"
    " tests/real/test_workers.py tests/real/test_draining.py tests/project/test_metrics_page.py"
)
EVERYTHING = (
    "--ignore=tests/real/test_alerts.py --ignore=tests/project/test_monitoring.py"  # but what MONITORING runs
)
NOT_ONCE = "-m 'not once'"
MOST = (
    f"tests/core tests/adapters tests/native tests/conformance tests/real/test_servers.py {NOT_ONCE}"
    " -k '(not conformance or not (starlette or fastapi or flask or django)) and (not test_servers or apache)'"
)
NOT_COMPILED = "-m 'not compiled and not once'"

_printing = threading.Lock()


@dataclass
class Lane:
    """One command, and what has come of it."""

    name: str
    what: str
    command: list[str]
    arguments: str | None = None  # for pytest; None where the command runs no tests
    is_optional: bool = False
    seconds: float = 0.0
    code: int = 0
    tests: Counter[str] = field(default_factory=Counter)

    @property
    def has_failed(self) -> bool:
        return self.code != 0 and not self.is_optional

    @property
    def log(self) -> Path:
        return OUT / f"{self.name}.log"

    @property
    def results(self) -> Path:
        return OUT / f"{self.name}.xml"


def main(wanted: list[str]) -> int:
    """Run all lanes, or those with these names; return the exit code."""

    def chosen(lanes: list[Lane]) -> list[Lane]:
        return [lane for lane in lanes if not wanted or lane.name in wanted]

    check = Lane("check", "lint and types", ["make", "check"])
    return run_all(chosen([*fetching(), check]), lambda: chosen(test_lanes()))


def run_all(first: list[Lane], others: Callable[[], list[Lane]]) -> int:
    """Run these lanes, and others, which are chosen when the first one has ended; print what has come of them."""
    began = time.monotonic()
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    with ThreadPoolExecutor(LANES_AT_ONCE) as pool:
        running = [pool.submit(run, lane) for lane in first]
        if running:
            running[0].result()
        running += [pool.submit(run, lane) for lane in others()]
        lanes = [each.result() for each in running]
    if not lanes:
        print(
            "No lane has such a name. `.ci/run` without a name runs all of them, and prints theirs.",
            file=sys.stderr,
        )
        return 2
    for lane in lanes:
        if lane.has_failed:
            tail = read(lane.log)[-TAIL_LINES:]
            print(f"=== {lane.name} has failed. The end of its log:", *tail, "", sep="\n")
    print(table(lanes), f"\n{time.monotonic() - began:.0f} s in all\n", sep="\n", flush=True)
    return sum_up(lanes)


def fetching() -> list[Lane]:
    """Return the lane that brings the newest Pythons.

    The lanes of tests are chosen when it has ended, because only then is it known which Pythons there are. It is
    optional, because not every machine has Debian's packages within reach; then the Pythons found are tested.
    """
    script = ROOT / "scripts" / "fetch-debian-testing"
    what = "Pythons and servers of Debian testing"
    return [Lane("fetch", what, [str(script)], is_optional=True)] if script.exists() else []


def test_lanes() -> list[Lane]:
    """Return the lanes that run tests, the longest first.

    The oldest and the newest Python run all that a version can change. The newest but one, which most people deploy,
    runs the parts in which Pythons have differed, without the frameworks' conformance. What lies between them shares
    these parts: each test runs on one of them. Apache, whose mod_wsgi is for the system's own Python, runs on all.
    What parses queries has a lane on the system's Python, because the newest does not load the parser. There, what runs
    once runs under gevent and uWSGI too.
    """
    found = [version for version in asked("make", "-s", "versions").split() if find_python(version)]
    oldest, newest = found[0], found[-1]
    between = list(reversed(found[1:-1]))
    coverage = ["make", "coverage", f"PYTHON={find_python(newest)}", f"VENV=.venv-{newest}"]
    lanes = [
        Lane("newest", f"Python {newest}, everything, branch coverage", coverage, EVERYTHING),
        Lane("oldest", f"Python {oldest}, oldest releases", ["make", "test-oldest"], NOT_ONCE),
    ]
    lanes.append(
        Lane("monitoring", "dashboards, alerts, gevent, uWSGI", ["make", "monitoring-test"], MONITORING)
    )
    lanes.append(Lane("python", "the Python code alone", ["make", "test-python"], NOT_COMPILED))
    if (ROOT / "scripts" / "sanitized").exists():
        lanes.append(Lane("sanitized", "C under the sanitizers", ["make", "test-sanitized"], NOT_ONCE))
    else:
        say("--- sanitized: left out, there is no scripts/sanitized")
    shares = len(between) - 1
    for number, version in enumerate(between):
        what, arguments = (
            (f"a share of 1/{shares}", f"{MOST} --share={number}/{shares}") if number else ("most", MOST)
        )
        lanes.append(Lane(version, f"Python {version}, {what}", ["make", f"test-{version}"], arguments))
    return lanes


def find_python(version: str) -> str:
    """Return the path of a Python, or nothing."""
    return asked(str(ROOT / "scripts" / "find-python"), version)


def asked(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True).stdout.strip()


def run(lane: Lane) -> Lane:
    """Run a lane to its end, and print what it has printed."""
    command = list(lane.command)
    if lane.arguments is not None:
        command.append(f"WORKERS={WORKERS}")
        command.append(
            f"ARGS={lane.arguments} -q -p no:cacheprovider --durations=10 --junitxml={lane.results}"
        )
    say(f"--- {lane.name} begins: {lane.what}")
    began = time.monotonic()
    with lane.log.open("wb") as log:
        done = subprocess.run(
            command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    lane.seconds, lane.code = time.monotonic() - began, done.returncode
    if lane.results.exists():
        lane.tests.update(map(outcome, ElementTree.parse(lane.results).iter("testcase")))
    ended = f"has failed with {lane.code}" if lane.code else "ends"
    say("\n".join([f"--- {lane.name} {ended} after {lane.seconds:.0f} s:", *read(lane.log), ""]))
    return lane


def say(text: str) -> None:
    with _printing:
        print(text, flush=True)


def read(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def outcome(case: ElementTree.Element) -> str:
    """Return what has come of a test."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def table(lanes: list[Lane]) -> str:
    """Return one row for each lane."""
    outcomes = ("passed", "failed", "skipped")
    rows: list[tuple[str, ...]] = [("lane", "what", "seconds", "", *outcomes)]
    for lane in lanes:
        tests = [str(lane.tests[each]) if lane.tests else "" for each in outcomes]
        state = "FAILED" if lane.has_failed else "left out" if lane.code else "ok"
        rows.append((lane.name, lane.what, f"{lane.seconds:.0f}", state, *tests))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def sum_up(lanes: list[Lane]) -> int:
    """Have pytest print the sum of all tests, each lane being one more; return its exit code."""
    suite = ElementTree.Element("testsuite")
    for lane in lanes:
        case = ElementTree.SubElement(suite, "testcase", classname="lane", name=lane.name)
        if lane.has_failed:
            ElementTree.SubElement(case, "failure", message=f"exit code {lane.code}")
    ElementTree.ElementTree(suite).write(OUT / "lanes.xml")
    if not PYTHON.exists() and subprocess.run(MAKE_PYTHON, cwd=ROOT, check=False).returncode:
        print(f"The tests can't be summed up: `{' '.join(MAKE_PYTHON)}` has failed.", file=sys.stderr)
        return 1
    command = [PYTHON, ROOT / "scripts/lane_results.py", OUT]
    return subprocess.run(command, check=False).returncode or int(any(lane.has_failed for lane in lanes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
