"""The event loop that runs the app: asyncio's or trio's. Neither of them ever waits for a thread."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any


async def in_thread(threads: Executor | None, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in one of the threads; here where there are none, or the loop is neither asyncio's nor trio's."""
    loop = serving_loop()
    if loop is None or threads is None:
        return function(*args)
    if isinstance(loop, asyncio.AbstractEventLoop):
        return await loop.run_in_executor(threads, function, *args)
    return await _in_thread_of_trio(loop, threads, function, *args)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the asyncio loop that runs this, or None under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def serving_loop() -> Any:
    """Return the asyncio loop that runs this, or the token of trio's, or None."""
    loop = running_loop()
    trio: Any = sys.modules.get("trio")
    if loop is None and trio is not None:
        with suppress(RuntimeError):
            return trio.lowlevel.current_trio_token()
    return loop


async def _in_thread_of_trio(token: Any, threads: Executor, function: Callable[..., Any], *args: Any) -> Any:
    """Wait as trio waits; its own threads are the app's, which may need all of them."""
    trio: Any = sys.modules["trio"]
    done = trio.Event()
    future = threads.submit(function, *args)

    def tell(_: object) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return future.result()
