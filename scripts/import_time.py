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
TIMED = "import time as t; a, b = t.perf_counter(), t.process_time(); {}; print(t.perf_counter()-a, t.process_time()-b)"
ROOT = Path(__file__).parents[1]


def seconds(code: str) -> tuple[float, float]:
    """Import in a process of its own and return how long it took, by the clock and of the processor."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    command = [sys.executable, "-c", TIMED.format(code)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True)
    clock, processor = map(float, done.stdout.split())
    return clock, processor


def main(pairs: int) -> None:
    """Print the medians of the differences and their quartiles."""
    seconds(OURS), seconds(BASE)  # bytecode and file caches
    runs = [(seconds(BASE), seconds(OURS)) for _ in range(pairs)]
    clock, processor = (
        statistics.quantiles([1000 * (ours[kind] - base[kind]) for base, ours in runs], n=4)
        for kind in (0, 1)
    )
    print(
        f"import obs_middleware: {clock[1]:.1f} ms over prometheus_client and opentelemetry.trace "
        f"(quartiles {clock[0]:.1f} to {clock[2]:.1f}; of the processor {processor[1]:.1f}, "
        f"{processor[0]:.1f} to {processor[2]:.1f}; {pairs} pairs)"
    )


if __name__ == "__main__":
    main(max(2, int(sys.argv[1])) if len(sys.argv) > 1 else 20)
