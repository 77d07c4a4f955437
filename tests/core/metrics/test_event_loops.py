"""Runtime metrics of event loops: lag, tasks and threads, each with a real loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvloop

from obs_middleware import Observer
from obs_middleware.metrics.event_loops import event_loops
from tests.core.metrics.scraping import page, value
from tests.core.support import internal_errors, observer

MODULE = "obs_middleware.metrics.event_loops"
LAG, MOST = "asyncio_event_loop_lag_seconds", "asyncio_event_loop_lag_max_seconds"


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing was measured before the test, and nothing is after it."""
    monkeypatch.setattr(f"{MODULE}._SAME_CLOCK_SECONDS", 60.0)  # two looks at a clock may be seconds apart
    event_loops._begin_anew()
    yield
    event_loops._begin_anew()


def observed(**settings: Any) -> Observer:
    return observer(log_setup=False, **settings)


def serve(own: Observer, work: Callable[[], Any]) -> Any:
    """Run async work in a loop that serves the app."""

    async def served() -> Any:
        own.gateway.started(loop=asyncio.get_running_loop())
        return await work()

    return asyncio.run(served())


def over(own: Observer, bound: str) -> float:
    """Return how many measured lags were longer."""
    return value(own, f"{LAG}_count") - value(own, f"{LAG}_bucket", le=bound)  # type: ignore[operator]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_is_blocked_for_300_ms_shows_it(new_loop: Callable[[], Any]) -> None:
    own, loop, began = observed(), new_loop(), time.monotonic()

    async def work() -> None:
        own.gateway.started(loop=loop)
        await asyncio.sleep(0.1)
        time.sleep(0.3)
        await asyncio.sleep(0.01)

    loop.run_until_complete(work())
    loop.close()
    assert over(own, "0.25") >= 1
    assert 0.25 <= (value(own, MOST) or 0) < time.monotonic() - began
    assert f'{LAG}_bucket{{le="0.25"}}' in page(own)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that stands still while nobody sets it on."""
    now = [time.monotonic()]
    monkeypatch.setattr(f"{MODULE}.monotonic", lambda: now[0])
    return now


def test_a_block_is_counted_once_from_when_the_timer_was_due(clock: list[float]) -> None:
    own = observed()

    async def work() -> None:
        await asyncio.sleep(0.1)
        clock[0] += 0.3
        await asyncio.sleep(0.1)

    serve(own, work)
    assert over(own, "0.25") == over(own, "0.01") == 1
    assert value(own, MOST) == pytest.approx(0.26)


def test_a_block_that_lasts_is_seen_while_it_does() -> None:
    own = observed()

    async def work() -> float | None:
        await asyncio.sleep(0.05)
        time.sleep(0.1)
        return value(own, MOST)

    assert serve(own, work) >= 0.05


def test_a_loop_that_nobody_runs_is_not_late(clock: list[float]) -> None:
    own, loop = observed(), asyncio.new_event_loop()

    async def work() -> None:
        own.gateway.started(loop=loop)
        await asyncio.sleep(0.06)

    loop.run_until_complete(work())
    clock[0] += 0.2
    assert value(own, MOST) == 0
    loop.run_until_complete(work())
    loop.close()
    assert value(own, MOST) == 0
    assert value(own, f"{LAG}_count")


def test_the_longest_lag_is_forgotten_after_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    event_loops.add(3.0, now)
    for seconds, longest in ((59, 3.0), (61, 3.0), (119, 3.0), (182, 0.0)):
        monkeypatch.setattr(f"{MODULE}.monotonic", lambda later=now + seconds: later)
        assert [family.samples[0].value for family in event_loops.lag_families()][1] == longest


def test_a_loop_lives_no_longer_for_being_watched() -> None:
    own = observed()
    loops: list[weakref.ref[Any]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loops.append(weakref.ref(loop))
        event_loops.watch(loop, own, measures_lag=True)

    asyncio.run(work())
    gc.collect()
    assert loops[0]() is None
    assert "asyncio_tasks" not in page(own)


async def _handles_after(own: Observer, act: Callable[[], object]) -> int:
    """Return how many timers are left some time after something was done."""
    loop: Any = asyncio.get_running_loop()
    own.gateway.started(loop=loop)
    own.gateway.started(loop=loop)
    assert len(loop._scheduled) == 1
    act()
    await asyncio.sleep(0.1)
    return len(loop._scheduled)


def test_the_timer_is_gone_when_the_observer_is_closed() -> None:
    own = observed()
    assert asyncio.run(_handles_after(own, own.close)) == 0


def test_the_timer_of_a_parent_does_not_run_on_in_a_forked_child() -> None:
    own = observed()
    assert asyncio.run(_handles_after(own, event_loops._begin_anew)) == 0


def test_a_closed_observer_sets_no_timer() -> None:
    own = observed()
    own.close()

    async def work() -> int:
        return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]

    assert serve(own, work) == 0


@pytest.mark.parametrize("chosen", ["none", "gc", "tasks,thread_pools"])
def test_there_is_no_timer_where_nobody_wants_one(chosen: str) -> None:
    own = observed(runtime_metrics=chosen)

    async def work() -> bool:
        return not asyncio.get_running_loop()._scheduled and LAG not in page(own)  # type: ignore[attr-defined]

    assert serve(own, work)


def test_a_loop_whose_clock_goes_faster_than_time_gets_no_timer() -> None:
    """A timer each 40 ms would keep it from skipping what nobody waits for."""
    own = observed()

    class Fast(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return super().time() + 3600

    loop = Fast()

    async def work() -> int:
        own.gateway.started(loop=loop)
        return len(loop._scheduled)  # type: ignore[attr-defined]

    assert loop.run_until_complete(work()) == 0
    loop.close()


def test_what_is_no_loop_of_asyncio_is_left_alone() -> None:
    own = observed()
    own.gateway.started(loop=object())
    assert internal_errors(own, "runtime_metrics") == 0


def test_tasks_are_counted_while_the_loop_runs() -> None:
    own = observed()

    async def work() -> tuple[float | None, float | None]:
        before = value(own, "asyncio_tasks")
        tasks = [asyncio.create_task(asyncio.sleep(9)) for _ in range(3)]
        after = value(own, "asyncio_tasks")
        for task in tasks:
            task.cancel()
        return before, after

    assert serve(own, work) == (1, 4)
    assert value(own, "asyncio_tasks") is None


def _threads(own: Observer, name: str) -> list[float | None]:
    kinds = "active_threads", "max_threads", "waiting_tasks"
    return [value(own, f"python_thread_pool_{kind}", thread_pool_name=name) for kind in kinds]


async def _threads_that_come_to(own: Observer, name: str, wanted: list[float]) -> list[float | None]:
    """Return what is shown when it is as wanted, or else after a while."""
    end = time.monotonic() + 30
    while (found := _threads(own, name)) != wanted and time.monotonic() < end:
        await asyncio.sleep(0.005)
    return found


def test_threads_of_anyio_that_run_and_tasks_that_wait_for_one_are_counted() -> None:
    own, may_end = observed(), threading.Event()

    async def work() -> tuple[Any, Any]:
        before = _threads(own, "anyio")
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(anyio.to_thread.run_sync, may_end.wait, 60)
            during = await _threads_that_come_to(own, "anyio", [2, 2, 3])
            may_end.set()
        return before, during

    assert serve(own, work) == ([0, 40, 0], [2, 2, 3])


def test_threads_of_asyncio_that_run_and_tasks_that_wait_for_one_are_counted() -> None:
    from concurrent.futures import ThreadPoolExecutor

    own, may_end = observed(), threading.Event()

    async def work() -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        before = _threads(own, "asyncio")
        loop.set_default_executor(ThreadPoolExecutor(2))
        waiting = [loop.run_in_executor(None, may_end.wait, 60) for _ in range(5)]
        during = await _threads_that_come_to(own, "asyncio", [2, 2, 3])
        may_end.set()
        await asyncio.gather(*waiting)
        return before, during

    assert serve(own, work) == ([None] * 3, [2, 2, 3])


def test_an_executor_that_we_do_not_know_is_not_shown() -> None:
    own = observed()

    async def work() -> Any:
        loop: Any = asyncio.get_running_loop()
        loop._default_executor = object()
        try:
            return _threads(own, "asyncio")
        finally:
            loop._default_executor = None

    assert serve(own, work) == [None] * 3
