"""Where an async check runs: in the event loop that serves the app, asyncio's or trio's, or in one of its own thread.

A check may call `sys.exit`. In a task of asyncio such an exception ends the loop, and the server with it. Therefore
every exception of a check but a cancellation is handed to the thread that waits, and never leaves the task.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from threading import local
from typing import Any

Await = Callable[[Awaitable[Any], float], Any]  # run an awaitable from a thread, for so many seconds

_CANCELLATIONS = ("CancelledError", "Cancelled")  # of asyncio and trio
_LOOK_SECONDS = 0.25  # after which it is looked whether the loop still runs
_kept = local()


class LoopEnded(Exception):
    """The event loop has ended, or somebody has cancelled what ran there: nothing is known of it."""


def run_in(loop: Any) -> Await:
    """Return a function that runs an awaitable from a thread in the app's own event loop, where its connections are.

    Args:
        loop: asyncio's event loop, or trio's token.
    """
    return _run_in_trio(loop) if hasattr(loop, "run_sync_soon") else _run_in_asyncio(loop)


def was_cancelled(task: Any) -> bool:
    """Tell whether somebody has cancelled a task of asyncio, as the end of its loop does; Python 3.10 does not tell."""
    cancelling = getattr(task, "cancelling", None)
    return cancelling is not None and cancelling() > 0


def running_asyncio_loop() -> Any:
    """Return the asyncio loop that runs in this thread, if one does; it is not imported for the question."""
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else asyncio.get_running_loop()
    except RuntimeError:
        return None


def run_in_own_loop(awaitable: Awaitable[Any], seconds: float) -> Any:
    """Run an awaitable where no event loop serves the app (WSGI): in a loop that this thread keeps."""
    import asyncio  # what it costs, only those pay who have async checks

    loop = _kept.__dict__.get("loop")
    if loop is None:
        loop = _kept.loop = asyncio.new_event_loop()
    coroutine = _contained(awaitable)
    try:
        return _result(loop.run_until_complete(asyncio.wait_for(coroutine, seconds)))
    except asyncio.TimeoutError:  # another class than the builtin one before Python 3.11
        raise TimeoutError from None
    finally:
        _close(coroutine, awaitable)


def close_own_loop() -> None:
    """Close the loop that this thread has kept, if it has one."""
    loop = _kept.__dict__.pop("loop", None)
    if loop is None:
        return
    import asyncio

    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:  # gather() of none asks for the loop of the thread, which has none
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _run_in_asyncio(loop: Any) -> Await:
    import asyncio
    from concurrent.futures import Future, InvalidStateError
    from concurrent.futures import TimeoutError as FutureTimeoutError

    def run(awaitable: Awaitable[Any], seconds: float) -> Any:
        coroutine = _contained(awaitable)
        outcome: Future[tuple[Any, BaseException | None]] = Future()

        def start() -> None:
            if outcome.cancelled():  # given up before the loop came to it
                _close(coroutine, awaitable)
                return
            task = loop.create_task(coroutine)
            task.add_done_callback(end)
            outcome.add_done_callback(lambda _: cancel(task) if outcome.cancelled() else None)

        def end(task: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
            _close(coroutine, awaitable)  # it may have been cancelled before its first step
            with suppress(InvalidStateError):  # given up meanwhile
                if not task.cancelled():
                    outcome.set_result(task.result())
                elif was_cancelled(task):
                    outcome.set_result((None, LoopEnded()))
                else:
                    outcome.cancel()

        def cancel(task: asyncio.Task[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(task.cancel)

        def wait() -> tuple[Any, BaseException | None]:
            late = time.monotonic() + seconds
            while True:
                rest = late - time.monotonic()
                try:
                    return outcome.result(min(rest, _LOOK_SECONDS))
                except FutureTimeoutError:  # another class than the builtin one before Python 3.11
                    if rest <= _LOOK_SECONDS:
                        raise TimeoutError from None
                    if not loop.is_running():
                        raise LoopEnded from None

        try:
            loop.call_soon_threadsafe(start)
        except RuntimeError:
            _close(coroutine, awaitable)
            raise
        try:
            return _result(wait())
        finally:
            outcome.cancel()  # where it is late; a loop that has stopped never ends it
            if not loop.is_running() and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                _close(coroutine, awaitable)  # nor does it start it

    return run


def _run_in_trio(token: Any) -> Await:
    trio: Any = sys.modules["trio"]

    def run(awaitable: Awaitable[Any], seconds: float) -> Any:
        coroutine = _contained(awaitable)

        async def bounded() -> Any:
            with trio.move_on_after(seconds):
                return await coroutine
            raise TimeoutError

        try:
            return _result(trio.from_thread.run(bounded, trio_token=token))
        except trio.Cancelled:
            raise LoopEnded from None
        except trio.RunFinishedError:
            _close(coroutine, awaitable)
            raise

    return run


async def _contained(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Return what comes out of an awaitable, and the exception that it has raised."""
    try:
        answer: Any = awaitable
        while inspect.isawaitable(answer):  # an async function may return what it should have awaited
            answer = await answer
    except BaseException as error:
        if type(error).__name__ in _CANCELLATIONS:
            raise
        return None, error
    return answer, None


def _result(outcome: tuple[Any, BaseException | None]) -> Any:
    answer, error = outcome
    if error is not None:
        raise error
    return answer


def _close(coroutine: Coroutine[Any, Any, Any], awaitable: Awaitable[Any]) -> None:
    """Close what was never started, which would be warned of."""
    coroutine.close()
    if inspect.iscoroutine(awaitable):
        awaitable.close()
