"""Real servers on the measured core, and wrk on another one."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from benchmarks.drive import HEADERS, QUERY
from benchmarks.workers import ROOT, cores, environment, on_core

_CONNECTIONS = 32
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class NoWrk(RuntimeError):
    """wrk is not installed."""


class Server:
    """uvicorn or gunicorn with one worker, its output in a file; ends with its `with` block.

    Args:
        has_access_log: the server writes its own.
    """

    def __init__(self, framework: str, variant: str, *, has_access_log: bool = False, fill: str = "") -> None:
        self.port = _free_port()
        self.name = f"{framework} {variant}{' own log' if has_access_log else ''}"
        self._folder = tempfile.TemporaryDirectory()
        self.log = Path(self._folder.name) / "log"
        is_uvicorn = framework != "flask"
        # Its access log is on unless it is turned off, and ours replaces it; gunicorn's is off unless it is asked for.
        has_own = has_access_log or (is_uvicorn and variant.startswith("ours"))
        command = _uvicorn if is_uvicorn else _gunicorn
        with self.log.open("wb") as output, on_core(cores()[-1]):
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command(self.port, has_own)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(BENCH_APP=f"{framework}:{variant}", BENCH_FILL=fill),
                cwd=ROOT,
            )
        self._wait()

    def get(self, path: str) -> int:
        """Return the status of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=dict(HEADERS))
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and its workers."""
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = file.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if self._process.pid in (int(file.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                if self.get("/r0/42") == 200:
                    return
            except OSError:
                time.sleep(0.1)
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"{self.name} does not serve: {self.log.read_text()[-2000:]}")

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def load(server: Server, *, seconds: float) -> dict[str, float]:
    """Return requests per second, the 99th percentile in milliseconds and the server's CPU time per request.

    Raises:
        NoWrk: it is not installed.
        RuntimeError: an answer was not a 200.
    """
    check()
    # wrk adds a Host of its own unless it sees one in just this spelling.
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name.title()}: {value}")]
    url = f"http://127.0.0.1:{server.port}/r0/42?{QUERY}"
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}s", "--latency"]
    before = server.cpu_seconds()
    with on_core(cores()[0]):
        done = subprocess.run(["wrk", *options, *headers, url], capture_output=True, text=True, check=True)
    result = parse(done.stdout, name=server.name)
    spent = server.cpu_seconds() - before
    return {"rps": result["rps"], "p99_ms": result["p99_ms"], "cpu_us": spent / result["requests"] * 1e6}


def parse(text: str, *, name: str) -> dict[str, float]:
    """Read what wrk prints."""
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{name} answers with errors: {text}")
    rate = re.search(r"Requests/sec: *([\d.]+)", text)
    late = re.search(r"^ *99% *([\d.]+)(us|ms|s)", text, re.MULTILINE)
    count = re.search(r"^ *(\d+) requests in", text, re.MULTILINE)
    if rate is None or late is None or count is None:
        raise RuntimeError(f"wrk has printed no rate for {name}: {text}")
    return {"rps": float(rate[1]), "p99_ms": float(late[1]) * _UNITS[late[2]], "requests": float(count[1])}


def check() -> None:
    """Raise where wrk is missing."""
    if shutil.which("wrk") is None:
        raise NoWrk(
            "the servers are loaded by wrk, which is not installed (Debian, Ubuntu: apt-get install wrk)"
        )


def _uvicorn(port: int, has_access_log: bool) -> list[str]:
    own = [] if has_access_log else ["--no-access-log"]
    return ["uvicorn", "benchmarks.served:app", "--loop=uvloop", "--http=httptools", f"--port={port}", *own]


def _gunicorn(port: int, has_access_log: bool) -> list[str]:
    # One thread that keeps connections alive: the default worker closes each, which costs more than any observer.
    own = ["--access-logfile=-"] if has_access_log else []
    return [
        "gunicorn",
        "benchmarks.served:app",
        "--worker-class=gthread",
        "--threads=1",
        "--workers=1",
        f"--bind=127.0.0.1:{port}",
        *own,
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
