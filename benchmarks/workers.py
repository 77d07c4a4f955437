"""The parent's side of a worker process: start it on a core of its own, ask it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.variants import VARIANTS

ROOT = Path(__file__).parents[1]
_FOREIGN = (
    *(
        "OTEL_",
        "OBS_",
        "SERVICE_",
        "LOG_LEVEL",
        "REDACT_PII",
        "TRACING_ENABLED",
        "OTLP_ENDPOINT",
        "PROMETHEUS_",
    ),
    *("FASTAPI_", "DJANGO_", "FLASK_", "UVICORN_", "GUNICORN_", "WEB_CONCURRENCY", "COV", "BENCH_"),
)


class WorkerFailed(RuntimeError):
    """A worker has ended; what it wrote last is in the message."""


class Process:
    """One worker; ends with its `with` block.

    Args:
        routes: how many the app has.
        fill: what its registry holds besides, see `registries`.
        endpoint: an OTLP sink; without one spans are dropped where they would be encoded.
        seed: of the hashes of texts, and so of where dictionaries look first.
        folder: whose packages it imports.
    """

    def __init__(
        self,
        framework: str,
        variant: str,
        *,
        routes: int = 1,
        fill: str = "",
        endpoint: str | None = None,
        seed: int = 0,
        folder: Path = ROOT,
    ) -> None:
        self.name = f"{framework} {variant}"
        self._output = tempfile.TemporaryFile()
        self._errors = tempfile.TemporaryFile()
        reading, writing = os.pipe()
        given = {
            "framework": framework,
            "variant": variant,
            "routes": routes,
            "fill": fill,
            "answers": writing,
        }
        with on_core(cores()[-1]):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._errors,
                pass_fds=(writing,),
                env=environment(
                    PYTHONHASHSEED=str(seed),
                    **({"BENCH_OTLP_ENDPOINT": endpoint} if endpoint else {}),
                    **({} if VARIANTS[variant].is_compiled else {"OBS_PURE_PYTHON": "1"}),
                ),
                cwd=folder,
                text=True,
            )
        os.close(writing)
        self._answers = os.fdopen(reading)
        try:
            self._answer()
        except WorkerFailed:
            self.close()
            raise

    def ask(self, do: str, **given: Any) -> Any:
        """Return the answer of one of the worker's tasks.

        Raises:
            WorkerFailed: it has ended instead.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._answer()

    def _answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise WorkerFailed(f"{self.name}: {self._errors.read().decode()[-3000:]}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for file in (self._answers, self._output, self._errors):
            file.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def cores() -> list[int | None]:
    """Return the cores that we may use: what is measured runs on the last one, what drives it on the first."""
    return [*sorted(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else [None]


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Let what is started in the block run on this core alone, where the system can do that."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing observes but what the benchmark puts there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PYTHONHASHSEED": "0", **more}
