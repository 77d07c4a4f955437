"""Nothing is left of a request: as many blocks are allocated after thousands of them as before."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from obs_asgi import ObservabilityMiddleware as AsgiMiddleware
from obs_middleware import RequestInfo
from obs_middleware.environ import request_info, variables_of
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.outputs import LineHandler
from obs_middleware.queue import flush
from obs_middleware.settings import Settings
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.core.support import observer

REQUESTS = 20_000  # of all kinds; ten times as many in the lane of CI that runs all tests
_FEW = 60  # what the interpreter and other threads may allocate meanwhile
_TRIES = 4
_REFUSED = OSError("gone")


class _WithoutPytest(list[logging.Handler]):
    """The root logger's handlers, without pytest's own, which keep what is logged."""

    def append(self, handler: logging.Handler) -> None:
        if not type(handler).__module__.startswith("_pytest"):
            super().append(handler)


@pytest.fixture(autouse=True)
def _lines_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        handler = LineHandler(nowhere)
        handler.setFormatter(JsonFormatter(settings=Settings()))
        monkeypatch.setattr(root, "handlers", _WithoutPytest([handler]))
        monkeypatch.setattr(root, "level", logging.INFO)
        logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]
        yield
        flush()
    logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]


def core(**learnt: Any) -> Callable[[int], None]:
    own = observer(log_setup=False)
    gateway = own.gateway
    headers = {"user-agent": "curl"}
    info = RequestInfo("GET", "/a", "", "http", headers.get, ("10.0.0.1", 5), "1.1", False)

    def run(count: int) -> None:
        for _ in range(count):
            exchange = gateway.start(info)
            assert exchange is not None
            with exchange:
                exchange.leave()
                exchange.__enter__()
                for name, value in learnt.items():
                    setattr(exchange, name, value)
            exchange.finish()

    return run


def variables(odd: Any) -> Callable[[int], None]:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "REMOTE_ADDR": "10.0.0.1", "REMOTE_PORT": odd}
    names = variables_of(["traceparent", "x-request-id"])

    def run(count: int) -> None:
        for _ in range(count):
            request_info(environ, names).header("user-agent")

    return run


def wsgi(status: str) -> Callable[[int], None]:
    def app(environ: Any, start_response: Any) -> Any:
        if status == "raises":
            raise ValueError(status)
        start_response(status, [("Content-Length", "2")])
        return [b"ok"]

    observed = WsgiMiddleware(app, observer(log_setup=False))

    def run(count: int) -> None:
        for _ in range(count):
            try:
                body = observed({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda *_: None)  # type: ignore[arg-type]
                assert list(body) == [b"ok"]
            except ValueError:
                pass

    return run


def asgi(status: int) -> Callable[[int], None]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if status == 0:
            raise ValueError(status)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        if status == 1 and message["type"] == "http.response.body":
            raise _REFUSED.with_traceback(None)

    async def serve(count: int) -> None:
        for _ in range(count):
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/a",
                "headers": [(b"host", b"x")],
                "client": ("::1", 5),
            }
            with suppress(ValueError, OSError):
                await observed(scope, receive, send)

    observed = AsgiMiddleware(app, observer(log_setup=False))
    return lambda count: asyncio.run(serve(count))


KINDS: dict[str, Callable[[], Callable[[int], None]]] = {
    "core": lambda: core(status=200, route="/a"),
    "core, no status": core,
    "core, failed": lambda: core(status=500, error=ValueError("it")),
    "core, not hashable": lambda: core(status=200, route=["x"]),
    "core, odd bytes": lambda: core(status=200, response_bytes=10**400),
    "core, sampled": lambda: core(status=200, is_sampled=True),
    "core, bound fields": lambda: core(status=200, fields={"a": 1}),
    "variables": lambda: variables("80"),
    "variables, odd": lambda: variables([]),
    "WSGI": lambda: wsgi("200 OK"),
    "WSGI, odd": lambda: wsgi("odd"),
    "WSGI, failed": lambda: wsgi("raises"),
    "ASGI": lambda: asgi(200),
    "ASGI, failed": lambda: asgi(0),
    "ASGI, gone": lambda: asgi(1),
}


@pytest.mark.timeout(400)  # in CI 100 000 requests, on the newest Python with coverage
@pytest.mark.skipif(not sys.getallocatedblocks(), reason="PYTHONMALLOC=malloc counts no blocks")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_request(kind: str, pytestconfig: pytest.Config) -> None:
    runs_all = "CI" in os.environ and not pytestconfig.option.markexpr
    run, count = KINDS[kind](), (10 if runs_all else 1) * REQUESTS // len(KINDS)
    run(1000)  # caches fill up to their bound
    for _ in range(_TRIES):  # threads of other tests make and free blocks meanwhile
        before = _blocks()
        run(count)
        left = _blocks() - before
        if left < _FEW:
            return
    pytest.fail(f"{left} blocks are left of {count} requests, each of {_TRIES} times:\n{_where(run, count)}")


def _where(run: Callable[[int], object], count: int) -> str:
    """Return the lines that have made most of what is left."""
    tracemalloc.start(4)
    try:
        before = tracemalloc.take_snapshot()
        run(count)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    grown = sorted(after.compare_to(before, "traceback"), key=lambda one: -one.count_diff)[:5]
    return "\n".join(f"{one.count_diff} blocks\n" + "\n".join(one.traceback.format()) for one in grown)


def _blocks() -> int:
    flush()
    for _ in range(3):
        gc.collect()
    return sys.getallocatedblocks()
