"""Processes that are one service, and obey a test."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.core.support import ROOT

_CALL_SECONDS = 30.0  # that a worker waits for the answers of others, which a busy machine gives late
_LOCK_SECONDS = 60.0, 60.0  # for the lock of the directory, to join and to read
_OBEY = """
import json, os, sys
from time import perf_counter
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info, Summary
{before}
from obs_middleware import Observer, RequestInfo
from obs_middleware.workers import service as joining
joining.calls.TIMEOUT_SECONDS = {call_seconds}
joining._JOIN_SECONDS, joining._READ_SECONDS = {lock_seconds}
own = Observer(access_log=False)

def serve(route, status=200, headers={{}}, took=None):
    exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", headers.get, has_context_headers=bool(headers)))
    exchange.status, exchange.route = status, route
    if took is not None:
        exchange.started = perf_counter() - took
    exchange.finish()

def fetch(accept):
    info = RequestInfo("GET", "/metrics", "", "http", {{"accept": accept}}.get)
    reply = own.gateway.reply(info, "/metrics")
    assert reply.status == 200
    return reply.body

def page(accept=""):
    return fetch(accept).decode()

own.gateway.started()
print("ready", flush=True)
for line in sys.stdin:
    code = json.loads(line)
    try:
        value = eval(code)
    except SyntaxError:
        value = exec(code)
    print(json.dumps(value), flush=True)
"""


class Worker:
    """A process that does what it is told, and says what came of it."""

    def __init__(self, code: str, env: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=env,
        )
        assert self._line() == "ready"

    def do(self, code: str) -> Any:
        """Run a line of Python in the worker; return the value of an expression."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def status(self) -> int:
        """Return the status of its page."""
        ask = "own.gateway.reply(RequestInfo('GET', '/metrics', '', 'http', {}.get), '/metrics').status"
        return int(self.do(ask))

    def numbers(self, accept: str = "") -> dict[str, float]:
        """Return the samples of its page."""
        return samples(self.do(f"page({accept!r})"))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line or self._process.poll() is None, self.errors()
        return line

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """Let it end by itself."""
        self.let_go()
        self._end()

    def let_go(self) -> None:
        """Tell it to end, and do not wait."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _end(self) -> None:
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def errors(self) -> str:
        """Return what it has written to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode()


class Workers:
    """Workers of one group.

    Attributes:
        call_seconds: how long those that are started now wait for the answers of others.
        lock_seconds: how long they wait for the lock of the directory, to join and to read.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OBS_M", "OTEL_"))}
        # With it Python drops the rest of a page where a stop cuts its write short.
        clean.pop("PYTHONUNBUFFERED", None)
        path = f"{ROOT}:{ROOT / 'adapters'}"
        self.env = clean | {"PYTHONPATH": path, "OBS_METRICS_WORKERS": "shop", **settings}
        self.env.setdefault("OBS_METRICS_DIRECTORY", str(folder))
        self.call_seconds, self.lock_seconds = _CALL_SECONDS, _LOCK_SECONDS
        self._started: list[Worker] = []

    def start(self, before: str = "", **settings: str) -> Worker:
        """Start one more.

        Args:
            before: code that it runs before it imports us.
        """
        code = _OBEY.format(before=before, call_seconds=self.call_seconds, lock_seconds=self.lock_seconds)
        worker = Worker(code, self.env | settings)
        self._started.append(worker)
        return worker

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    def end(self) -> None:
        """Let those end by themselves that live, all at once."""
        for worker in self._started:
            worker.let_go()
        for worker in self._started:
            worker.stop()


@contextlib.contextmanager
def workers(folder: Path, **settings: str) -> Iterator[Workers]:
    group = Workers(folder, **settings)
    try:
        yield group
    finally:
        group.end()


def samples(page: str) -> dict[str, float]:
    lines = [line.partition(" # ")[0] for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
