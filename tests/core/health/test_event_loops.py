"""Where async checks run, and that no exception of theirs ends the loop that serves the app."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio

from obs_middleware import Observer
from obs_middleware.health.event_loops import run_in
from tests.core.health.probing import answered, detail, probe
from tests.core.support import eventually, observer

ERRORS = [SystemExit("gone"), KeyboardInterrupt("gone"), BaseException("gone"), ConnectionError("gone")]


def by_asyncio(own: Observer, ask: Callable[[Observer], Any]) -> Any:
    async def serve() -> Any:
        own.gateway.started(loop=asyncio.get_running_loop())
        answer = await asyncio.to_thread(ask, own)
        await asyncio.sleep(0.01)  # the loop goes on
        return answer

    return asyncio.run(serve())


def by_loop_that_stops(own: Observer, ask: Callable[[Observer], Any]) -> Any:
    """As where nobody cancels what has not ended; the loop is closed when the test no longer needs it."""
    loop = asyncio.new_event_loop()

    async def serve() -> Any:
        own.gateway.started(loop=loop)
        return await asyncio.to_thread(ask, own)

    try:
        return loop.run_until_complete(serve())
    finally:
        while asyncio.all_tasks(loop):  # the thread of the check gives its run up
            time.sleep(0.05)
            loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def by_trio(own: Observer, ask: Callable[[Observer], Any]) -> Any:
    async def serve() -> Any:
        own.gateway.started(loop=trio.lowlevel.current_trio_token())
        answer = await trio.to_thread.run_sync(ask, own)
        await trio.sleep(0.01)
        return answer

    return trio.run(serve)


def by_nobody(own: Observer, ask: Callable[[Observer], Any]) -> Any:
    own.gateway.started()
    return ask(own)


served = pytest.mark.parametrize("serve", [by_asyncio, by_trio, by_nobody])


def secured() -> Observer:
    from tests.core.health.probing import TOKEN

    return observer(health_token=TOKEN)


async def pause(serve: Any, seconds: float) -> None:
    sleep: Callable[[float], Awaitable[None]] = trio.sleep if serve is by_trio else asyncio.sleep
    await sleep(seconds)


@served
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_exception_of_an_async_check_is_a_failure_and_ends_no_loop(serve: Any, error: BaseException) -> None:
    own = secured()

    @own.health.check("database")
    async def database() -> None:
        await pause(serve, 0)
        raise error

    status, told = serve(own, lambda own: (probe(own)[0], answered(own)))
    assert (status, told["output"]) == (503, f"{type(error).__name__}: gone")


@served
def test_async_check_runs_in_the_loop_that_serves(serve: Any) -> None:
    own = secured()

    @own.health.check("database")
    async def database() -> bool:
        await pause(serve, 0.001)
        return True

    assert serve(own, lambda own: probe(own)[0]) == 200


@served
def test_async_check_that_takes_too_long_is_stopped(serve: Any) -> None:
    own, stopped = secured(), threading.Event()

    @own.health.check("database", timeout_seconds=0.03, every_seconds=0)
    async def database() -> None:
        try:
            await pause(serve, 600)
        finally:
            stopped.set()

    def ask(own: Observer) -> tuple[int, str]:
        eventually(
            lambda: (probe(own), stopped.is_set())[1]
        )  # it may be given up before the loop comes to it
        return probe(own)[0], detail(own)["output"]

    assert serve(own, ask) == (503, "TimeoutError: no answer after 0.03 s")


@pytest.mark.hangs
@pytest.mark.parametrize("serve", [by_asyncio, by_trio, by_loop_that_stops])
def test_run_that_the_end_of_the_loop_cuts_short_has_found_nothing(serve: Any) -> None:
    if serve is by_asyncio and sys.version_info < (3, 11):
        pytest.skip("asyncio does not tell who has cancelled a task")
    own, runs, changes = secured(), list[int](), list[str]()
    own.health.on_change(lambda change: changes.append(change.status))

    @own.health.check("database", every_seconds=0.01)
    async def database() -> None:
        runs.append(1)
        if len(runs) == 2:
            await pause(serve, 600)

    def ask_until(count: int) -> Callable[[Observer], None]:
        return lambda own: eventually(lambda: (probe(own), len(runs) >= count)[1])

    serve(own, ask_until(2))
    serve(own, ask_until(3))
    eventually(lambda: changes)
    assert changes == ["pass"]
    failed = {"component": "database", "status": "fail"}
    assert own.registry.get_sample_value("health_checks_total", failed) is None


def test_async_check_keeps_its_loop_where_none_serves() -> None:
    own, loops = secured(), []

    @own.health.check("database", every_seconds=0)
    async def database() -> None:
        loops.append(asyncio.get_running_loop())

    own.gateway.started()
    assert [probe(own)[0] for _ in range(3)] == [200] * 3
    assert len(set(map(id, loops))) == 1


def test_loop_of_a_check_is_closed_with_its_thread() -> None:
    own, loops = secured(), []

    @own.health.check("database", every_seconds=0)
    async def database() -> None:
        loops.append(asyncio.get_running_loop())
        raise ConnectionError

    own.gateway.started()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(own)[0] == 503
        assert probe(own)[0] == 503
        eventually(loops[0].is_closed)  # the thread ends after the answer


def test_async_check_whose_trio_run_is_over_fails_and_leaves_no_coroutine() -> None:
    own = secured()
    by_trio(own, probe)

    @own.health.check("database")
    async def database() -> None: ...

    assert probe(own)[0] == 503
    assert detail(own)["output"].startswith("trio.RunFinishedError")


def test_what_a_check_has_left_running_in_its_own_loop_is_ended_with_it() -> None:
    own, ended, kept = secured(), list[str](), list[Any]()

    async def watch() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("task")

    @own.health.check("database")
    async def database() -> None:
        kept.append(asyncio.create_task(watch()))
        await asyncio.sleep(0)
        raise ConnectionError

    own.gateway.started()
    assert probe(own)[0] == 503
    eventually(kept[0].get_loop().is_closed)
    assert ended == ["task"]
    assert kept[0].cancelled()


def test_rows_that_a_check_has_not_read_to_their_end_are_closed_with_its_loop() -> None:
    own, ended, kept = secured(), list[str](), list[Any]()

    async def rows() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("rows")

    @own.health.check("database")
    async def database() -> None:
        kept.extend((rows(), asyncio.get_running_loop()))
        await anext(kept[0])
        raise ConnectionError

    own.gateway.started()
    assert probe(own)[0] == 503
    eventually(kept[1].is_closed)
    assert ended == ["rows"]


def test_check_for_a_loop_that_has_stopped_is_late_and_leaves_no_coroutine() -> None:
    """A coroutine that was never awaited would be warned of."""

    async def check() -> None: ...

    loop = asyncio.new_event_loop()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(TimeoutError):
            run_in(loop)(check(), 0.01)
        loop.close()
    assert not warned


def test_check_that_was_given_up_before_its_loop_came_to_it_leaves_no_coroutine() -> None:
    async def check() -> None: ...

    def block() -> None:
        is_blocked.set()
        release.wait()

    loop, is_blocked, release = asyncio.new_event_loop(), threading.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    loop.call_soon_threadsafe(block)
    is_blocked.wait()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(TimeoutError):
            run_in(loop)(check(), 0.01)
        loop.call_soon_threadsafe(loop.stop)  # as soon as it has taken the check up
        release.set()
        thread.join()
        loop.close()
        gc.collect()
    assert not warned
