"""What the tests themselves stand on: servers on ports of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.installed import ROOT

_TAKE = """
import sys
from tests.running import free_port
print(*[free_port() for _ in range(20)], free_port(in_a_row=4), flush=True)
sys.stdin.read()
"""


@pytest.mark.once
def test_no_two_processes_are_given_the_same_port() -> None:
    """Though nobody has opened any: a server opens its port a while after it was found free."""
    found: list[int] = []
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"import os; os.getpid = lambda: 7\n{_TAKE}"],  # all begin at the same
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        *single, first = map(int, process.stdout.readline().split())
        found += [*single, *range(first, first + 4)]
    for process in processes:
        process.communicate(timeout=60)
    assert len(found) == len(set(found)) == 3 * 24
