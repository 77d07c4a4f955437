"""What the library adds to an example service at 100 requests a second: CPU, memory, and how long a probe takes.

    python -m benchmarks.zerostate [--rounds 5] [--seconds 5]

zerostate runs twice, with the library and without (apps/zerostate_bare.py), each in one worker of gunicorn. They are
loaded in turn, so that whatever else the machine does falls on both. In each round the one with the library is scraped
once, three times as often as by Prometheus.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from benchmarks.markdown import table
from benchmarks.servers import _free_port
from benchmarks.workers import ROOT, environment

REQUESTS_PER_SECOND = 100
PATH = "/guilds/rankers/"
VARIANTS = {"with": "example_apps.zerostate.settings", "without": "benchmarks.apps.zerostate_bare"}
PROBES = 20  # in each round
START_SECONDS = 60.0


class Served:
    """One of both, with what it has used."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> float:
        """Return the seconds of one request.

        Raises:
            RuntimeError: the answer was not a 200.
        """
        began = time.perf_counter()
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} has answered {answer.status}")
        return time.perf_counter() - began

    def is_up(self, path: str) -> bool:
        with suppress(OSError, http.client.HTTPException, RuntimeError):
            self.get(path)
            return True
        self._connection.close()
        return False

    def close(self) -> None:
        self._connection.close()

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and its worker, all threads, to the nanosecond."""
        files = [file for pid in self._pids() for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def megabytes(self) -> float:
        """Return the proportional memory of the server and its worker."""
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._pids()]
        return sum(int(text.partition("Pss:")[2].split()[0]) for text in rollups) / 1024

    def _pids(self) -> list[int]:
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]


@contextmanager
def serve(variant: str, folder: Path) -> Iterator[Served]:
    folder.mkdir()
    own = environment(
        DJANGO_SETTINGS_MODULE=VARIANTS[variant], ZEROSTATE_DB=str(folder / "zerostate.sqlite3")
    )
    own["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), own.get("PYTHONPATH", "")])
    command = [sys.executable, "-m"]
    with (folder / "log").open("wb") as log:
        migrate = [*command, "django", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=own, cwd=folder, stdout=log, stderr=log, check=True)
        port = _free_port()
        options = ["--bind", f"127.0.0.1:{port}", "--threads", "4", "--keep-alive", "60"]
        gunicorn = [*command, "gunicorn", "example_apps.zerostate.wsgi", *options]
        process = subprocess.Popen(gunicorn, env=own, cwd=folder, stdout=log, stderr=log)
    try:
        served = Served(process, port)
        end = time.monotonic() + START_SECONDS
        while not served.is_up(PATH) or (variant == "with" and not served.is_up("/health/ready")):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"zerostate {variant} is not up: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        with closing(served):
            yield served
    finally:
        process.terminate()
        process.wait()


def load(served: Served, seconds: float) -> float:
    """Send requests at their rate; return how much of a core the server has used, in percent."""
    before, began = served.cpu_seconds(), time.perf_counter()
    for number in range(int(seconds * REQUESTS_PER_SECOND)):
        time.sleep(max(0.0, began + number / REQUESTS_PER_SECOND - time.perf_counter()))
        served.get(PATH)
    spent = served.cpu_seconds() - before
    return 100 * spent / seconds


def measure(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return, for each round, percent of a core with and without, megabytes, and milliseconds of each probe."""
    found: dict[str, list[float]] = {"with": [], "without": [], "megabytes": [], "probes": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obs-bench-")))
        served = {name: stack.enter_context(serve(name, folder / name)) for name in VARIANTS}
        for one in served.values():
            load(one, 1.0)
        for _ in range(rounds):
            before = served["with"].cpu_seconds()
            served["with"].get("/metrics")
            scrape = 100 * (served["with"].cpu_seconds() - before) / seconds
            found["with"].append(load(served["with"], seconds) + scrape)
            found["without"].append(load(served["without"], seconds))
            found["megabytes"].append(served["with"].megabytes() - served["without"].megabytes())
            found["probes"] += [1000 * served["with"].get("/health/ready") for _ in range(PROBES)]
    return found


def report(found: dict[str, list[float]]) -> str:
    added = [mine - bare for mine, bare in zip(found["with"], found["without"], strict=True)]
    rows = [
        ("CPU of a core at 100 requests/s, without, %", found["without"], ""),
        ("CPU of a core at 100 requests/s, with, %", found["with"], ""),
        ("added by the library, %", added, "< 1"),
        ("memory that it adds, MB", found["megabytes"], "< 10"),
        ("a readiness probe, ms", found["probes"], "< 100"),
    ]
    head = ("", "median", "quartiles", "highest", "target")
    return table(head, [(name, *_summary(values), target) for name, values, target in rows])


def _summary(values: Sequence[float]) -> tuple[str, str, str]:
    low, _, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return f"{median(values):.2f}", f"{low:.2f} – {high:.2f}", f"{max(values):.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zerostate", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in each round")
    options = parser.parse_args(arguments)
    print(report(measure(options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
