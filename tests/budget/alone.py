"""A process of its own for each measurement: everything on, lines to a file, spans to an exporter that drops them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from obs_middleware import _speedups
from tests.installed import OURS

QUEUE, BATCH = 512, 128  # spans that the SDK holds at most

EXPORTS = threading.Event()  # cleared, the exporter hangs
EXPORTS.set()
HANGS = threading.Event()  # whether it does

# Imported once for all; each process is a fork of one that has imported these and has done nothing else.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        "django.core.handlers.asgi",
        "flask",
        "obs_middleware.tracing.otlp.exporter",
        "tests.conformance.front_ends",
        __name__,
    ]
)


def run_alone(
    function: Callable[..., Any], *arguments: Any, ratio: float, is_compiled: bool | None = None
) -> Any:
    """Return what a function of a module returns in a new process in which this ratio of traces is sampled.

    Args:
        is_compiled: take the compiled ways, or Python's alone; what this run of the tests takes unless given.
    """
    if is_compiled is None or is_compiled == _speedups.is_in_use():
        with ProcessPoolExecutor(1, mp_context=_processes) as pool:
            return pool.submit(_run, function, arguments, ratio).result()
    with (
        pytest.MonkeyPatch.context() as patch,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        patch.setenv(_speedups.SWITCH, "0" if is_compiled else "1")
        return pool.submit(_run, function, arguments, ratio).result()


def _run(function: Callable[..., Any], arguments: tuple[Any, ...], ratio: float) -> Any:
    sys.settrace(None)  # coverage keeps objects of its own for each thread
    threading.settrace(None)
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12
    if monitoring is not None and monitoring.get_tool(monitoring.COVERAGE_ID) is not None:
        monitoring.set_events(monitoring.COVERAGE_ID, 0)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ["OBS_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    os.environ |= {"NO_PROXY": "*", "no_proxy": "*", "HOME": os.devnull}  # nothing that our exporter can't do
    os.environ["OBS_TRACE_SAMPLE_RATIO"] = str(ratio)
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(QUEUE)
    os.environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = str(BATCH)
    module: Any = importlib.import_module("obs_middleware.tracing.otlp.exporter")
    module.OtlpExporter = _DroppingExporter
    with open(os.devnull, "w") as sys.stderr, tempfile.TemporaryFile("w", encoding="utf-8") as sys.stdout:
        return function(*arguments)


class _DroppingExporter:
    """Take spans and drop them."""

    def __init__(self, target: Any) -> None:
        pass

    def export(self, spans: Any) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        if not EXPORTS.is_set():
            HANGS.set()
        EXPORTS.wait()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
