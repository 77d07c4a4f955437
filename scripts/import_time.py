#!/usr/bin/env python3
"""Measure what `import obs_middleware` costs over `import prometheus_client, opentelemetry.trace`, in fresh processes.

Runs of both are interleaved, so that a busy moment falls on both: `python scripts/import_time.py [pairs]`.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

BASE = "import prometheus_client, opentelemetry.trace"
OURS = f"{BASE}, obs_middleware"
TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
ROOT = Path(__file__).parents[1]


def seconds(code: str) -> float:
    """Import in a process of its own and return how long it took."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    command = [sys.executable, "-c", TIMED.format(code)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True)
    return float(done.stdout)


def main(pairs: int) -> None:
    """Print the medians, and the quartiles of the differences."""
    seconds(OURS), seconds(BASE)  # bytecode and file caches
    runs = [(seconds(BASE), seconds(OURS)) for _ in range(pairs)]
    base, ours = (statistics.median(column) * 1000 for column in zip(*runs, strict=True))
    low, over, high = (1000 * cut for cut in statistics.quantiles([ours - base for base, ours in runs], n=4))
    print(
        f"import obs_middleware: {over:.1f} ms over prometheus_client and opentelemetry.trace "
        f"(quartiles {low:.1f} to {high:.1f}, {pairs} pairs; medians {ours:.1f} and {base:.1f} ms)"
    )


if __name__ == "__main__":
    main(max(2, int(sys.argv[1])) if len(sys.argv) > 1 else 20)
