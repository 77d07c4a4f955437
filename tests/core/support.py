"""What the tests of the core share: requests that no server has sent, and what came of them."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Exchange, Observer, RequestInfo, Settings
from obs_middleware._speedups import SWITCH
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.outputs import LineHandler

ROOT = Path(__file__).parents[2]
UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


_WITHOUT_CONTEXT = {"host", "user-agent"}


def request(
    method: str = "GET",
    path: str = "/items/7",
    query: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    scheme: str = "http",
    peer: tuple[str, int | None] | None = ("192.0.2.1", 50123),
    http_version: str = "1.1",
) -> RequestInfo:
    """Make a request; header names are lower case."""
    headers = headers or {}
    has_context_headers = not _WITHOUT_CONTEXT.issuperset(headers)
    return RequestInfo(method, path, query, scheme, headers.get, peer, http_version, has_context_headers)


def observer(
    *, registry: CollectorRegistry | None = None, tracer_provider: Any = None, **settings: Any
) -> Observer:
    """Make an Observer that knows no environment and shares no registry."""
    return Observer(
        Settings.load(env={}, **settings),
        registry=registry or CollectorRegistry(),
        tracer_provider=tracer_provider,
    )


def started(own: Observer, info: RequestInfo | None = None) -> Exchange:
    """Begin an exchange."""
    exchange = own.gateway.start(info or request())
    assert exchange is not None
    return exchange


def serve(
    own: Observer, info: RequestInfo | None = None, *, is_complete: bool = True, **learned: Any
) -> Exchange:
    """Run one exchange, with what an adapter would learn on the way, `status` 200 unless given."""
    exchange = started(own, info)
    for name, value in ({"status": 200} | learned).items():
        setattr(exchange, name, value)
    exchange.finish(is_complete=is_complete)
    return exchange


def internal_errors(own: Observer, component: str) -> float:
    """Return how many failures of our own were counted."""
    return own.registry.get_sample_value("obs_internal_errors_total", {"component": component}) or 0.0


def strict_json(line: str) -> dict[str, Any]:
    """Parse one line as RFC 8259 has it: NaN and Infinity are no numbers there."""
    assert "\n" not in line
    assert "\r" not in line
    parsed: dict[str, Any] = json.loads(line, parse_constant=_refuse)
    return parsed


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class Caught(logging.Handler):
    """Keep records, and the lines that a formatter makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


@contextmanager
def caught(name: str, *, formatter: logging.Formatter | None = None) -> Iterator[Caught]:
    """Catch what a logger writes, INFO and above."""
    logger, handler = logging.getLogger(name), Caught()
    handler.setFormatter(formatter)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
        logger.setLevel(before[0])


class Output:
    """Our handler as the root logger's only one, and what it has written."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        self.handler = LineHandler(io.TextIOWrapper(self.bytes, encoding="utf-8"))
        self.handler.setFormatter(JsonFormatter())

    def lines(self) -> list[dict[str, Any]]:
        return [strict_json(line) for line in self.bytes.getvalue().decode().splitlines()]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]

    def wait_for(self, count: int) -> list[str]:
        deadline = time.monotonic() + 60
        while len(self.lines()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.messages()


class WithoutPytest(list[logging.Handler]):
    """The root logger's handlers, which pytest's own join for each test; here they would change what is tested."""

    def append(self, handler: logging.Handler) -> None:
        if not type(handler).__module__.startswith("_pytest"):
            super().append(handler)


def eventually(is_true: Callable[[], object], *, within_seconds: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# AddressSanitizer is told of forks since LLVM 18 alone (llvm/llvm-project#75290), GCC 12's is not: a child begins with
# the allocator's lock held, if another thread of the parent was allocating, and waits for ever.
forks_among_threads = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="a fork may leave AddressSanitizer's locks held"
)


def python(code: str, *, env: Mapping[str, str] | None = None, path: tuple[Path, ...] = ()) -> str:
    """Run code in a fresh interpreter that knows no setting but these, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    inherited = clean.get("PYTHONPATH", "")
    paths = [*map(str, path), str(ROOT), str(ROOT / "adapters"), *filter(None, inherited.split(os.pathsep))]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", **(env or {})},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert not done.stderr, done.stderr.decode(errors="replace")
    return done.stdout.decode("utf-8", "surrogateescape")


SHORT_NAMES = frozenset(
    ("SERVICE_NAME", "SERVICE_VERSION", "LOG_LEVEL", "REDACT_PII", "TRACING_ENABLED", "OTLP_ENDPOINT")
)


def _is_setting(name: str) -> bool:
    return name != SWITCH and (name.startswith(("OBS_", "OTEL_")) or name in SHORT_NAMES)
