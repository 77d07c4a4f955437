"""One check: what passes, what fails, and how long anybody waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from obs_middleware import Observer
from obs_middleware.health import Result
from tests.core.health.probing import Clock, answered, ask, detail, fail, probe, settled
from tests.core.support import eventually, observer


@pytest.mark.parametrize("answer", [None, True, 0, "", "fail"])
def test_check_that_does_not_return_false_passes(own: Observer, answer: object) -> None:
    own.health.add("database", lambda: answer)
    assert probe(own) == (200, {"status": "pass"})
    assert detail(own)["status"] == "pass"
    assert "output" not in detail(own)


def test_check_fails_by_raising_or_by_returning_false(own: Observer) -> None:
    own.health.add("database", fail)
    own.health.add("queue", lambda: False)
    assert probe(own) == (503, {"status": "fail"})
    assert detail(own)["output"] == "ConnectionError: postgres://REDACTED:REDACTED@db refused REDACTED"
    assert detail(own, "queue")["output"] == "returned False"


def test_check_that_raises_with_no_text_is_told_by_its_type(own: Observer) -> None:
    @own.health.check("database")
    def database() -> None:
        raise SystemExit

    assert probe(own)[0] == 503
    assert detail(own)["output"] == "SystemExit"


class Odd:
    def __str__(self) -> str:
        raise ValueError("odd")


class Own(str):
    """A status of a class of the user's."""


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        (Odd(), "<Odd that can't be shown>"),
        ("\ud800", "\\ud800"),
        ("x://a:hunter2x@b", "x://REDACTED:REDACTED@b"),
    ],
)
def test_unit_that_is_odd_is_shown_as_values_are(own: Observer, unit: Any, shown: str) -> None:
    own.health.add("database", lambda: Result(observed_value=2, observed_unit=unit), every_seconds=0)
    assert answered(own)["observedUnit"] == shown
    assert answered(own)["observedValue"] == 2


def test_status_may_be_of_a_class_of_the_users(own: Observer) -> None:
    status: Any = Own("warn")
    own.health.add("database", lambda: Result(status, output="few"))
    assert answered(own)["status"] == "warn"


def test_failure_of_a_check_that_is_not_critical_is_a_warning(own: Observer) -> None:
    own.health.add("cache", fail, critical=False)
    assert probe(own) == (200, {"status": "warn"})
    own.health.add("database", fail)
    assert probe(own) == (503, {"status": "fail"})
    assert detail(own, "cache")["status"] == "warn"


@pytest.mark.hangs
def test_hung_check_is_answered_quickly_and_not_run_twice(
    own: Observer, hang: threading.Event, clock: Clock
) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=60)
    def database() -> None:
        runs.append(1)
        hang.wait()

    began = time.monotonic()
    assert probe(own) == (503, {"status": "fail"})
    assert time.monotonic() - began < 25  # 100 ms, and a machine that is busy
    assert detail(own)["output"] == "no answer yet"
    clock.go_on(61)
    assert detail(own)["output"] == "TimeoutError: no answer after 60 s"
    assert len(runs) == 1


def test_run_that_took_too_long_has_failed_also_when_it_has_come_to_an_end(own: Observer) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.02, every_seconds=60)
    def database() -> None:
        time.sleep(0.05)
        runs.append(1)

    settled(own, 1, runs)
    eventually(lambda: "no answer yet" not in detail(own).get("output", ""))
    assert probe(own)[0] == 503
    assert "TimeoutError" in detail(own)["output"]


def test_result_is_kept_for_its_time(own: Observer) -> None:
    runs: list[int] = []
    own.health.add("database", lambda: runs.append(1), every_seconds=60)
    for _ in range(5):
        assert probe(own)[0] == 200
    assert len(runs) == 1


def test_check_that_has_recovered_passes_again(own: Observer) -> None:
    is_broken = [True]
    own.health.add("database", lambda: not is_broken[0], every_seconds=0)
    assert probe(own)[0] == 503
    is_broken.clear()
    is_broken.append(False)
    assert probe(own)[0] == 200


def test_hung_check_that_comes_back_is_run_again(own: Observer, hang: threading.Event) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.05, every_seconds=0)
    def database() -> None:
        runs.append(1)
        hang.wait()

    assert probe(own)[0] == 503
    hang.set()
    eventually(lambda: probe(own)[0] == 200)
    assert len(runs) > 1


def test_check_that_can_get_no_thread_runs_here_and_in_a_thread_when_there_is_one(
    own: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran_in: list[int] = []
    own.health.add("database", lambda: ran_in.append(threading.get_ident()), every_seconds=0)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert ask(own, "ready").status == 200
    assert ran_in == [threading.get_ident()]
    assert ask(own, "ready").status == 200
    assert ran_in[1] != threading.get_ident()


def test_async_check_runs_in_a_loop_of_its_own_where_none_serves(own: Observer) -> None:
    loops: list[object] = []

    @own.health.check("database", every_seconds=0)
    async def database() -> bool:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return len(loops) > 1

    assert probe(own)[0] == 503
    assert probe(own)[0] == 200


def test_async_check_runs_in_the_loop_that_serves_the_app() -> None:
    own = observer()
    loops: list[object] = []

    @own.health.check("database")
    async def database() -> None:
        loops.append(asyncio.get_running_loop())

    async def serve() -> tuple[int, object]:
        loop = asyncio.get_running_loop()
        own.gateway.started(loop=loop)
        status, _ = await asyncio.to_thread(probe, own)
        return status, loop

    status, loop = asyncio.run(serve())
    assert (status, loops) == (200, [loop])


def test_async_check_whose_loop_has_closed_fails_and_leaves_no_coroutine(own: Observer) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    own.gateway.started(loop=loop)

    @own.health.check("database")
    async def database() -> None: ...

    assert probe(own)[0] == 503
    assert detail(own)["output"] == "RuntimeError: Event loop is closed"


def test_check_may_return_any_awaitable(own: Observer) -> None:
    class Failing:
        def __await__(self) -> Any:
            raise ConnectionError("refused")
            yield

    own.health.add("database", Failing)
    assert probe(own)[0] == 503
    assert detail(own)["output"] == "ConnectionError: refused"


# Where no thread is to be had


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


async def passes() -> None:
    await asyncio.sleep(0)


async def exits() -> None:
    raise SystemExit


async def returns_false() -> bool:
    return False


async def hangs() -> None:
    await asyncio.sleep(600)


@pytest.mark.usefixtures("no_thread")
def test_check_runs_here_without_threads(own: Observer) -> None:
    own.health.add("database", lambda: None)
    own.health.add("cache", passes)
    assert probe(own) == (200, {"status": "pass"})
    own.health.add("queue", fail)
    assert probe(own)[0] == 503


@pytest.mark.usefixtures("no_thread")
@pytest.mark.parametrize(
    ("check", "seconds", "output"),
    [
        (passes, 60, None),
        (exits, 60, "SystemExit"),
        (returns_false, 60, "returned False"),
        (hangs, 0.05, "TimeoutError: no answer after 0.05 s"),
        (lambda: passes(), 60, "RuntimeError: can't start new thread"),  # nobody could see that it is async
    ],
)
def test_check_in_an_event_loop_without_threads_is_answered_when_the_loop_has_run(
    check: Any, seconds: float, output: str | None, own: Observer
) -> None:
    own.health.add("other", lambda: None)
    own.health.add("database", check, timeout_seconds=seconds, every_seconds=60)

    async def main() -> dict[str, Any]:
        assert detail(own, "other")["status"] == "pass"
        while (found := detail(own)).get("output") == "no answer yet":
            await asyncio.sleep(0.01)
        return found

    found = asyncio.run(asyncio.wait_for(main(), 30))
    assert found["status"] == ("fail" if output else "pass")
    assert found.get("output") == output
