"""`scripts/stalled.py`: what a command has started stands still at times, and goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "stalled.py"
# A child that looks at the clock until it has stood still, and whose parent waits for it.
CHILD = """
import time
before = time.monotonic()
while (now := time.monotonic()) - before < 0.2:
    before = now
    time.sleep(0.01)
"""
PARENT = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {CHILD!r}]) or 7)"

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it reads /proc")


def stalled(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def test_what_the_command_has_started_stands_still_and_its_exit_code_is_returned() -> None:
    done = stalled("--seconds=0.5", "--seed=1", sys.executable, "-c", PARENT)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_a_command_is_asked_for_where_there_is_none() -> None:
    done = stalled("--seed=1")
    assert done.returncode == 2
    assert "a command is missing, such as `make test`" in done.stderr
