"""The event loop that runs the app: asyncio's, or another one such as trio's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any


async def in_thread(threads: Executor | None, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in one of the threads; here where there are none, or no asyncio loop serves the app (trio)."""
    loop = running_loop()
    if loop is None or threads is None:
        return function(*args)
    return await loop.run_in_executor(threads, function, *args)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the asyncio loop that runs this, or None under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
