"""Blocks and functions are timed, whatever they are, and what they do does not change."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, suppress
from contextvars import Context, copy_context
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from obs_middleware import ConfigError, Observer
from tests.core.metrics.scraping import OPENMETRICS, SAMPLED, page
from tests.core.support import observer, request, started


def counts(own: Observer, **labels: str) -> dict[str, float]:
    """Return how often each outcome was seen."""
    found = {
        outcome: own.registry.get_sample_value("work_seconds_count", {**labels, "outcome": outcome})
        for outcome in ("ok", "error", "cancelled")
    }
    return {outcome: count for outcome, count in found.items() if count is not None}


def seconds(own: Observer, outcome: str = "ok") -> float:
    return own.registry.get_sample_value("work_seconds_sum", {"outcome": outcome}) or 0.0


def timed(own: Observer, **labels: str) -> Any:
    return own.metrics.timed("work", "How long work takes.", labels)


def test_a_block_is_timed_by_its_outcome() -> None:
    own = observer()
    with timed(own):
        time.sleep(0.02)
    with pytest.raises(KeyError), timed(own):
        raise KeyError
    assert counts(own) == {"ok": 1, "error": 1}
    assert seconds(own) >= 0.02


def test_labels_are_those_that_are_given() -> None:
    own = observer()
    with timed(own, bank="acme"):
        pass
    assert counts(own, bank="acme") == {"ok": 1}


def test_labels_without_values_are_an_error_with_its_cure() -> None:
    with pytest.raises(ConfigError, match="labels with their values"):
        observer().metrics.timed("charge", "How long.", ["bank"])  # type: ignore[arg-type]


def test_a_function_keeps_its_name_its_result_and_its_exception() -> None:
    own = observer()

    @timed(own)
    def divide(number: int, by: int = 1) -> float:
        """Divide."""
        return number / by

    assert (divide.__name__, divide.__doc__) == ("divide", "Divide.")
    assert divide(6, by=3) == 2
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    assert counts(own) == {"ok": 1, "error": 1}


def test_a_coroutine_is_timed_until_it_has_ended() -> None:
    own = observer()

    @timed(own)
    async def work(fails: bool = False) -> str:
        await asyncio.sleep(0.02)
        if fails:
            raise LookupError
        return "done"

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work()) == "done"
    with pytest.raises(LookupError):
        asyncio.run(work(fails=True))
    assert counts(own) == {"ok": 1, "error": 1}
    assert seconds(own) >= 0.02


def test_a_task_that_is_cancelled_is_neither_ok_nor_an_error() -> None:
    own = observer()

    async def main() -> None:
        task = asyncio.create_task(timed(own)(asyncio.sleep)(10))
        await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert counts(own) == {"cancelled": 1}


def test_a_generator_is_timed_until_its_end_and_takes_what_is_sent() -> None:
    own = observer()

    @timed(own)
    def numbers() -> Any:
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"
        time.sleep(0.02)
        return "end"

    generator: Any = numbers()
    assert counts(own) == {}
    assert (next(generator), generator.send("two"), generator.throw(KeyError)) == (1, "two", "caught")
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "end"
    assert counts(own) == {"ok": 1}
    assert seconds(own) >= 0.02


def test_an_async_generator_is_timed_until_its_end_and_takes_what_is_sent() -> None:
    own = observer()

    @timed(own)
    async def numbers() -> AsyncIterator[Any]:
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"
        await asyncio.sleep(0.02)

    async def main() -> None:
        generator: Any = numbers()
        assert await anext(generator) == 1
        assert await generator.asend("two") == "two"
        assert await generator.athrow(KeyError) == "caught"
        assert [item async for item in generator] == []

    asyncio.run(main())
    assert counts(own) == {"ok": 1}
    assert seconds(own) >= 0.02


def test_a_generator_that_is_closed_early_or_fails_is_counted_as_what_it_is() -> None:
    own = observer()
    cleaned: list[str] = []

    @timed(own)
    def numbers(fails: bool = False) -> Iterator[int]:
        try:
            yield 1
            if fails:
                raise LookupError
            yield 2
        finally:
            cleaned.append("sync")

    @timed(own)
    async def async_numbers(fails: bool = False) -> AsyncIterator[int]:
        try:
            yield 1
            if fails:
                raise LookupError
            yield 2
        finally:
            cleaned.append("async")

    async def main() -> None:
        async with aclosing(async_numbers()) as generator:
            async for _ in generator:
                break
        with pytest.raises(LookupError):
            _ = [item async for item in async_numbers(fails=True)]

    for _ in numbers():
        break
    with pytest.raises(LookupError):
        list(numbers(fails=True))
    asyncio.run(main())
    assert cleaned == ["sync", "sync", "async", "async"]
    assert counts(own) == {"ok": 2, "error": 2}


def test_methods_partials_and_callable_objects_are_timed() -> None:
    own = observer()

    class Worker:
        @timed(own)
        def work(self) -> str:
            return "worked"

        @staticmethod
        @timed(own)
        def alone() -> str:
            return "alone"

        def __call__(self) -> str:
            return "called"

    assert Worker().work() == "worked"
    assert Worker.alone() == "alone"
    assert timed(own)(functools.partial(max, 1))(2) == 2
    assert timed(own)(Worker())() == "called"
    assert counts(own) == {"ok": 4}


def test_what_is_async_and_does_not_look_it_is_timed_until_it_has_ended() -> None:
    own = observer()

    class Worker:
        async def __call__(self, fails: bool = False) -> str:
            await asyncio.sleep(0.02)
            if fails:
                raise LookupError
            return "done"

    worker = timed(own)(Worker())
    assert asyncio.run(worker()) == "done"
    with pytest.raises(LookupError):
        asyncio.run(worker(fails=True))
    assert asyncio.run(timed(own)(lambda: Worker()())()) == "done"
    assert counts(own) == {"ok": 2, "error": 1}
    assert seconds(own) >= 0.04
    assert seconds(own, "error") >= 0.02


def test_one_timer_serves_many_threads_tasks_and_itself() -> None:
    own = observer()
    timer = timed(own)

    def work() -> None:
        with timer, timer:
            time.sleep(0.02)

    async def work_async(rest: float) -> None:
        with timer:
            await asyncio.sleep(rest)

    async def main() -> None:
        await asyncio.gather(*(work_async(rest) for rest in (0.06, 0.02, 0.04)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = seconds(own)
    asyncio.run(main())
    assert counts(own) == {"ok": 9}
    assert seconds(own) - before >= 0.12


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_end_of_the_process_is_no_success(error: type[BaseException]) -> None:
    own = observer()
    with pytest.raises(error), timed(own):
        raise error
    assert counts(own) == {"error": 1}


def test_an_exemplar_leads_to_the_trace_that_is_kept() -> None:
    own = observer()
    for headers in ({}, SAMPLED):
        exchange = started(own, request(headers=headers))
        with exchange, timed(own):
            pass
        exchange.finish()
    text = page(own, OPENMETRICS)
    (line,) = [line for line in text.splitlines() if line.startswith("work_seconds_bucket") and "# {" in line]
    assert f'trace_id="{exchange.trace_id}"' in line
    assert f'span_id="{exchange.span_id}"' in line


def test_a_metric_that_is_declared_already_takes_all_outcomes() -> None:
    own = observer()
    waits = own.metrics.histogram("waits_seconds", "Waits.", ["bank"])
    loads = own.metrics.summary("loads_seconds", "Loads.")

    @own.metrics.timed(waits.labels("acme"))
    @own.metrics.timed(loads)
    async def work(fails: bool) -> None:
        if fails:
            raise LookupError

    asyncio.run(work(fails=False))
    with pytest.raises(LookupError):
        asyncio.run(work(fails=True))
    assert own.registry.get_sample_value("waits_seconds_count", {"bank": "acme"}) == 2
    assert own.registry.get_sample_value("loads_seconds_count") == 2
    with pytest.raises(
        ConfigError, match=r"histogram waits_seconds has labels: say which, timed\(metric\.labels"
    ):
        own.metrics.timed(waits)


def test_what_is_timed_may_be_declared_where_it_is_used() -> None:
    own = observer()
    work: Callable[[], None] = lambda: None  # noqa: E731
    for _ in range(3):
        timed(own)(work)()
    assert counts(own) == {"ok": 3}


def test_static_and_class_methods_are_timed_on_either_side_of_their_decorator() -> None:
    own = observer()

    class Shop:
        @timed(own)
        @staticmethod
        def outer_static(number: int) -> int:
            return number

        @timed(own)
        @classmethod
        def outer_class(cls, number: int) -> tuple[type, int]:
            return cls, number

        @staticmethod
        @timed(own)
        def inner(number: int) -> int:
            return number

    assert Shop().outer_static(1) == Shop.outer_static(1) == Shop().inner(1) == 1
    assert Shop().outer_class(2) == (Shop, 2)
    assert counts(own) == {"ok": 4}


def test_a_block_that_ends_in_another_thread_is_counted_once() -> None:
    own = observer()
    timer = timed(own)
    timer.__enter__()
    thread = threading.Thread(target=timer.__exit__, args=(None, None, None))
    thread.start()
    thread.join(60)
    assert counts(own) == {"ok": 1}
    timer.__exit__(None, None, None)
    assert counts(own) == {"ok": 1}


def test_a_block_is_timed_that_ends_in_another_context_than_it_has_begun_in() -> None:
    """As FastAPI runs a sync dependency that yields: each half in a copy of the context, in some thread."""
    own = observer()
    timer = timed(own)

    def dependency(fails: bool = False) -> Iterator[None]:
        with timer:
            yield
            if fails:
                raise LookupError

    first, second, third = dependency(), dependency(), dependency(fails=True)
    copy_context().run(next, first)
    time.sleep(0.05)
    began = time.perf_counter()
    for later in (second, third):
        copy_context().run(next, later)
    assert copy_context().run(next, first, None) is None
    assert counts(own) == {"ok": 1}
    of_first = seconds(own)
    assert of_first >= 0.05
    assert copy_context().run(next, second, None) is None
    with pytest.raises(LookupError):
        copy_context().run(next, third)
    assert counts(own) == {"ok": 2, "error": 1}
    rest = time.perf_counter() - began
    assert seconds(own) - of_first <= rest
    assert seconds(own, "error") <= rest


def test_a_sync_dependency_of_fastapi_is_timed() -> None:
    own = observer()

    def dependency() -> Iterator[None]:
        with timed(own):
            yield

    app = FastAPI()

    @app.get("/", dependencies=[Depends(dependency)])
    def view() -> None:
        time.sleep(0.02)

    assert TestClient(app).get("/").status_code == 200
    assert counts(own) == {"ok": 1}
    assert seconds(own) >= 0.02


def test_blocks_that_another_function_opens_are_told_apart_by_their_task() -> None:
    own = observer()
    timer = timed(own)
    took: dict[float, float] = {}

    async def work(rest: float) -> None:
        began = time.perf_counter()
        try:
            with ExitStack() as stack:
                stack.enter_context(timer)
                await asyncio.sleep(rest)
                if rest > 0.1:
                    raise LookupError
        finally:
            took[rest] = time.perf_counter() - began

    async def main() -> None:
        await asyncio.gather(*(work(rest) for rest in (0.12, 0.02, 0.04)), return_exceptions=True)

    asyncio.run(main())
    assert counts(own) == {"ok": 2, "error": 1}
    assert seconds(own) <= took[0.02] + took[0.04]
    assert 0.12 <= seconds(own, "error") <= took[0.12]


def test_a_block_may_be_async() -> None:
    own = observer()
    timer = timed(own)

    async def work(rest: float) -> None:
        async with timer:
            await asyncio.sleep(rest)

    async def main() -> None:
        await asyncio.gather(work(0.04), work(0.02))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(timer)
        with suppress(LookupError):
            async with timer:
                raise LookupError

    asyncio.run(main())
    assert counts(own) == {"ok": 3, "error": 1}
    assert seconds(own) >= 0.06


def test_nothing_of_a_block_outlives_it() -> None:
    class Large:
        pass

    def block(rests: list[Context]) -> Any:
        large = Large()
        with timer:
            rests.append(copy_context())  # as a task has it that goes on
        return weakref.ref(large)

    timer, contexts = timed(observer()), list[Context]()
    kept = copy_context().run(block, contexts)
    gc.collect()
    assert kept() is None
    assert contexts


def test_a_block_of_a_generator_that_nobody_goes_on_with_ends_with_it() -> None:
    own = observer()
    timer = timed(own)

    def rows() -> Iterator[int]:
        with timer:
            yield 1
            yield 2

    generator = rows()
    next(generator)
    del generator
    gc.collect()
    assert counts(own) == {"ok": 1}


def test_labels_are_the_same_in_whichever_order_they_come() -> None:
    own = observer()
    for labels in ({"bank": "acme", "area": "eu"}, {"area": "eu", "bank": "acme"}):
        with own.metrics.timed("work", "How long work takes.", labels):
            pass
    assert counts(own, bank="acme", area="eu") == {"ok": 2}


def test_what_is_no_function_is_refused_where_it_is_decorated() -> None:
    for odd in (5, property(lambda self: 1)):
        with pytest.raises(ConfigError, match="timed must stand at a function, below @property"):
            timed(observer())(odd)


@pytest.mark.parametrize(
    "more",
    [{"documentation": "Work."}, {"labels": {"bank": "acme"}}, {"buckets": (1.0,)}, {"max_series": 3}],
)
def test_a_histogram_that_is_declared_comes_alone(more: dict[str, Any]) -> None:
    metrics = observer().metrics
    with pytest.raises(ConfigError, match=r"timed\(histogram work\) must come alone"):
        metrics.timed(metrics.histogram("work", "Work."), **more)


def test_seconds_are_the_only_unit() -> None:
    options: dict[str, Any] = {"unit": "bytes"}
    with pytest.raises(ConfigError, match="timed\\('work'\\) measures seconds: leave unit='bytes' out"):
        observer().metrics.timed("work", "Work.", **options)
