"""What the probe apps share: their options, what they log, and what a view can see of its request.

Routes that every app has, with its framework's own way to write a parameter:

    GET  /items/{i}             "item 7"
    GET  /api/v1/users/{uid}    from an included router (blueprint, include)
    GET  /sub/things/{x}        from a mounted app
    GET  /slashed/{i}/          redirected to when the slash is missing
    GET  /boom                  raises ValueError, which nobody handles (but see Options.catch_all)
    GET  /handled, /teapot      raise an exception that a handler of the app turns into a 500 or a 418
    GET  /bg                    0.4 s of work after the response
    GET  /stream                3 chunks, 0.1 s before each, no length
    GET  /stream/long           64 KiB every 10 ms, for 20 s at the most
    GET  /stream/broken         raises ValueError after the first chunk
    GET  /slow                  answers after 0.5 s
    GET  /log                   logs what a formatter or a redactor may trip over
    GET  /whoami?ms=5           the request ID seen in the view, in its threads and after a pause
    GET  /outgoing              the headers for calls made on behalf of the request
    GET  /query                 the query as it arrived
    GET  /own-id                sets X-Request-ID and X-Correlation-ID itself
    GET  /left-out, /labelled   views with the decorators `leave_out` and `add_labels`
    GET  /session               401 with WWW-Authenticate and two cookies, to compare headers with the bare app
    POST /echo                  the number of body bytes that arrived
    WS   /ws, /ws/reject, /ws/boom
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from obs_middleware import Observer, current_exchange

CHUNK_SECONDS = 0.1
CHUNKS = (b"one,", b"two,", b"three")
LONG_CHUNK = b"x" * 65536
LONG_CHUNKS = 2000
LONG_PAUSE_SECONDS = 0.01
SLOW_SECONDS = 0.5
OWN_ID = "chosen-by-the-app"
CATCH_ALL_STATUS = 503
COOKIES = ("a=1", "b=2")

_goes_on, _has_begun = threading.Event(), threading.Event()
_goes_on.set()

SECRETS = ("hunter2", "tok-5ecret", "4111111111111111", "jane@example.org")


@dataclass(frozen=True)
class Options:
    """What a test may change in the probe app, besides its observer."""

    catch_all: bool = False  # a handler for Exception that answers CATCH_ALL_STATUS
    max_body_bytes: int | None = None  # the framework itself refuses larger bodies
    telemetry: Any = None  # FastAPI's own telemetry settings


class HandledError(Exception):
    """Raised by a view and answered by a handler of the app."""

    def __init__(self, status: int) -> None:
        super().__init__(f"handled as {status}")
        self.status = status


@contextmanager
def held() -> Iterator[threading.Event]:
    """Have slow views and background work go on when the block is left, not before.

    Yields:
        what is set when a slow view has begun.
    """
    _goes_on.clear()
    _has_begun.clear()
    try:
        yield _has_begun
    finally:
        _goes_on.set()


async def background() -> None:
    """Work after the response."""
    while not _goes_on.is_set():
        await asyncio.sleep(0.01)


async def be_slow() -> None:
    """Do what a slow view does."""
    _has_begun.set()
    await asyncio.sleep(SLOW_SECONDS)
    await background()


def be_slow_sync() -> None:
    """Do what a slow view does."""
    _has_begun.set()
    time.sleep(SLOW_SECONDS)
    _goes_on.wait()


def new_observer(observer: Observer | None) -> dict[str, Any]:
    """Say which observer the front end shall use; none means the process-wide default."""
    return {} if observer is None else {"observer": observer}


def name_route(template: str) -> None:
    """Do what a raw app does to name its route."""
    exchange = current_exchange()
    if exchange is not None:
        exchange.route = template


def request_id() -> str | None:
    """Return the ID of the request that this code runs for."""
    exchange = current_exchange()
    return None if exchange is None else exchange.request_id


def request_id_in_thread() -> str | None:
    """Return the ID that a thread started with a copy of the context sees."""
    seen: list[str | None] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(lambda: seen.append(request_id()),))
    thread.start()
    thread.join()
    return seen[0]


def write_log() -> None:
    """Log what a formatter or a redactor may trip over."""
    log = logging.getLogger("probe")
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    log.info("plain", extra={"tenant": "acme"})
    log.info("password=hunter2 and ?token=tok-5ecret in the text")
    log.info(
        "in the fields", extra={"password": "hunter2", "nested": {"api_key": "tok-5ecret", "kept": "yes"}}
    )
    log.info("card %s of %s", "4111111111111111", "jane@example.org")
    log.info("not a number", extra={"ratio": float("nan"), "limit": float("inf")})
    log.info("a cycle", extra={"tree": cycle})
    log.info("odd keys", extra={"map": {(1, 2): "tuple", None: "none", b"x": "bytes"}})
    log.info("odd values", extra={"thing": object(), "raw": b"\xff\x00", "set": {1}, "broken": Unprintable()})
    log.info("half a pair \ud800, a line\nbreak, a bell \x07 and a nul \x00")
    log.info("wrong arguments %s %s", "one")
    try:
        raise KeyError("password=hunter2")
    except KeyError:
        log.exception("with a traceback")


LOG_LINES = 11


class Unprintable:
    """Raise when shown, as objects half torn down do."""

    def __repr__(self) -> str:
        raise RuntimeError("not now")
