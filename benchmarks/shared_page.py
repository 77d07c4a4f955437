"""What a page of several workers costs, beside prometheus-client's own mode for many processes.

python -m benchmarks.shared_page --workers 8 --fill user [--theirs] [--dead 100]
python -m benchmarks.shared_page --values
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

_SCRAPES = 8


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--dead", type=int, default=0, help="so many more have counted and were killed")
    parser.add_argument("--fill", default="user", choices=("user", "counters", "ours-same-size"))
    parser.add_argument("--theirs", action="store_true", help="prometheus-client's mode in place of ours")
    parser.add_argument("--values", action="store_true", help="one number, with a cell and without")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        _work(asked.worker, is_ours=not asked.theirs)
    elif asked.values:
        print(_values())
    else:
        print(_pages(asked))


def _pages(asked: argparse.Namespace) -> str:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        settings = {"OBS_METRICS_WORKERS": "bench", "OBS_METRICS_DIRECTORY": folder}
        env = {**os.environ, **({"PROMETHEUS_MULTIPROC_DIR": folder} if asked.theirs else settings)}
        command = [sys.executable, "-m", "benchmarks.shared_page", "--worker", asked.fill]
        workers = [_Worker(command + ["--theirs"] * asked.theirs, env) for _ in range(asked.workers)]
        for _ in range(asked.dead):
            _Worker(command + ["--theirs"] * asked.theirs, env).kill()
        rows = [workers[0].page() for _ in range(_SCRAPES + 1)]
        size = sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file())
        for worker in workers:
            worker.kill()
    first, *others = (row[0] for row in rows)
    return (
        f"{asked.workers} workers and {asked.dead} dead ones, {rows[0][1]:.0f} samples: "
        f"first page {first:.0f} ms, then {statistics.median(others):.1f} ms of CPU; {size // 1024} kB of files"
    )


class _Worker:
    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def page(self) -> list[float]:
        assert self._process.stdin is not None
        self._process.stdin.write("page\n")
        self._process.stdin.flush()
        return [float(word) for word in self._read().split()]

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def _work(fill: str, *, is_ours: bool) -> None:
    """Count, and make a page for each line that is read."""
    from benchmarks import registries

    page = _our_page() if is_ours else _their_page
    touch = registries.fill(fill)
    print("ready", flush=True)
    for _ in sys.stdin:
        touch()
        before = time.process_time()
        text = page()
        spent = (time.process_time() - before) * 1000
        print(spent, sum(not line.startswith(b"#") for line in text.splitlines()), flush=True)


def _our_page() -> Any:
    from prometheus_client import REGISTRY

    from obs_middleware import Observer
    from obs_middleware.metrics.exposition.page import MetricsPage

    Observer(access_log=False).gateway.started()
    page = MetricsPage(REGISTRY)
    return lambda: page.render(accept="", accept_encoding="")[0]


def _their_page() -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _values() -> str:
    """Compare a number with a cell with prometheus-client's own, in turns."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    from obs_middleware import Observer

    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        registry = CollectorRegistry()
        alone = Histogram("a", "x", registry=None), Counter("b", "x", registry=None)
        Observer(
            access_log=False, registry=registry, metrics_workers="bench", metrics_directory=folder
        ).gateway.started()
        shared = Histogram("c", "x", registry=registry), Counter("d", "x", registry=registry)
        for _ in range(9):
            for name, (histogram, counter) in (("alone", alone), ("shared", shared)):
                for kind, call in (("observe", lambda h=histogram: h.observe(0.3)), ("inc", counter.inc)):
                    seconds = min(timeit.repeat(call, number=5000, repeat=5, timer=time.process_time)) / 5000
                    best[f"{kind} {name}"] = min(best.get(f"{kind} {name}", 1.0), seconds)
    return ", ".join(
        f"{kind}: {best[f'{kind} shared'] / best[f'{kind} alone']:.2f} of prometheus-client's"
        for kind in ("observe", "inc")
    )


if __name__ == "__main__":
    main()
