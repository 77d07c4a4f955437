#!/usr/bin/env python3
"""Run a command while the processes below it stand still at random, as on a machine that has other things to do.

    scripts/stalled.py [--at-once 3] [--seconds 0.5] [--seed 1] COMMAND ...

What passes here does not depend on how fast a machine is. A test that stops a process itself can't pass, because its
process is let go on here. Linux, because it reads `/proc` (proc_pid_stat(5)).
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

LONGEST_SECONDS = 3.0
LOOK_SECONDS = 0.02
STOPS = 0.1  # the share of looks that stop a process, so that all run meanwhile


def main(arguments: list[str]) -> int:
    """Return the command's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--at-once", type=int, default=3, help="how many processes stand still at a time")
    parser.add_argument("--seconds", type=float, default=0.5, help="for how long, on average")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if not options.command:
        parser.error("a command is missing, such as `make test`")
    dice = random.Random(options.seed)
    running = subprocess.Popen(options.command)
    stopped: dict[int, float] = {}  # a process, and when it goes on
    try:
        while running.poll() is None:
            now = time.monotonic()
            for pid in [pid for pid, end in stopped.items() if end <= now]:
                send(pid, signal.SIGCONT)
                del stopped[pid]
            others = sorted(below(running.pid) - stopped.keys())
            if others and len(stopped) < options.at_once and dice.random() < STOPS:
                pid = dice.choice(others)
                stopped[pid] = now + min(dice.expovariate(1 / options.seconds), LONGEST_SECONDS)
                send(pid, signal.SIGSTOP)
            time.sleep(LOOK_SECONDS)
    finally:
        for pid in stopped:
            send(pid, signal.SIGCONT)
    return running.returncode


def send(pid: int, number: int) -> None:
    """Send a signal to a process, which may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def below(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that these have."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            _, _, rest = stat.read_text().rpartition(")")  # a name may hold anything
            children[int(rest.split()[1])].append(int(stat.parent.name))
    found, ahead = set[int](), [pid]
    while ahead:
        new = children[ahead.pop()]
        found.update(new)
        ahead += new
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
