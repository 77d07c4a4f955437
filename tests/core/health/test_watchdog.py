"""Liveness fails when the process is stuck, and not when it was paused, is idle, or has ended its loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import uvloop

from obs_middleware import ConfigError, Observer
from obs_middleware.queue import _flusher
from tests.core.health.probing import BEARER, TOKEN, Clock, ask, probe
from tests.core.support import caught, eventually, observer, serve, started

SECONDS = 40.0
EVENT_LOOP = "the event loop has not run for 40 s"
REQUESTS = "requests are under way, and none has begun or ended for 40 s"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("obs_middleware.health.watchdog.monotonic", made)
    return made


@pytest.fixture
def own(clock: Clock) -> Observer:
    return observer(watchdog_seconds=SECONDS, health_token=TOKEN, log_setup=False)


def looks(own: Observer, clock: Clock, *pauses: float) -> list[int]:
    """Return the status of liveness after each pause."""
    found = []
    for pause in pauses:
        clock.go_on(pause)
        found.append(ask(own, "live").status)
    return found


Sleep = Callable[[float], Awaitable[None]]


async def turn(sleep: Sleep) -> None:
    """Let the loop do what it was asked for; where trio is late, that comes beside the first end of a sleep."""
    for _ in range(2):
        await sleep(0.01)


def by(run: Callable[[Callable[[], Any]], Any], mark: Callable[[], Any], sleep: Sleep) -> Any:
    def served(own: Observer, work: Callable[[Sleep], Any]) -> None:
        async def main() -> None:
            own.gateway.started(loop=mark())
            await work(sleep)

        run(main)

    return served


def run_uvloop(main: Callable[[], Any]) -> None:
    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


by_loops = pytest.mark.parametrize(
    "by_loop",
    [
        by(lambda main: asyncio.run(main()), asyncio.get_running_loop, asyncio.sleep),
        by(run_uvloop, asyncio.get_running_loop, asyncio.sleep),
        by(trio.run, trio.lowlevel.current_trio_token, trio.sleep),
    ],
    ids=["asyncio", "uvloop", "trio"],
)


@by_loops
def test_liveness_fails_while_the_loop_is_stuck_and_passes_again(
    own: Observer, clock: Clock, by_loop: Any
) -> None:
    async def work(sleep: Sleep) -> None:
        assert looks(own, clock, 0, 10, 10, 10, 9) == [200] * 5
        assert looks(own, clock, 1, 100) == [503, 503]
        assert probe(own, "live") == (503, {"status": "fail"})
        assert probe(own, "live", **BEARER) == (503, {"status": "fail", "notes": [EVENT_LOOP]})
        assert ask(own, "ready").status == 200
        await turn(sleep)
        assert looks(own, clock, 10) == [200]

    by_loop(own, work)


@by_loops
def test_paused_process_is_not_stuck(own: Observer, clock: Clock, by_loop: Any) -> None:
    async def work(sleep: Sleep) -> None:
        for _ in range(3):
            assert looks(own, clock, 10, 100_000) == [200, 200]
            await turn(sleep)

    by_loop(own, work)


@by_loops
def test_loop_that_answers_a_probe_itself_runs(own: Observer, clock: Clock, by_loop: Any) -> None:
    async def work(sleep: Sleep) -> None:
        assert looks(own, clock, 0, 20, 20) == [200, 200, 503]
        own.gateway.started(loop=own.health.surroundings.loop)  # as an adapter does before it answers
        assert looks(own, clock, 0) == [200]

    by_loop(own, work)


@by_loops
def test_loop_that_has_ended_is_not_stuck(own: Observer, clock: Clock, by_loop: Any) -> None:
    async def work(sleep: Sleep) -> None:
        assert looks(own, clock, 0, 20, 20) == [200, 200, 503]

    by_loop(own, work)
    assert looks(own, clock, 0, 20, 20, 20) == [200] * 4


def test_loop_that_stands_still_between_two_runs_is_not_stuck(own: Observer, clock: Clock) -> None:
    loop = asyncio.new_event_loop()

    async def run() -> None:
        own.gateway.started(loop=loop)
        assert looks(own, clock, 0, 20) == [200, 200]

    async def run_again() -> None:
        assert looks(own, clock, 0, 20, 19) == [200, 200, 200]
        await asyncio.sleep(0.01)
        assert looks(own, clock, 20) == [200]

    loop.run_until_complete(run())
    assert looks(own, clock, 20, 20, 20) == [200] * 3
    loop.run_until_complete(run_again())
    loop.close()


def test_liveness_fails_while_all_requests_stand_still(own: Observer, clock: Clock) -> None:
    own.gateway.started()
    assert looks(own, clock, 0, 100, 100, 100) == [200] * 4  # it is idle
    first, second = started(own), started(own)
    assert looks(own, clock, 100, 10, 10, 10, 9, 1) == [200] * 5 + [503]
    assert probe(own, "live", **BEARER) == (503, {"status": "fail", "notes": [REQUESTS]})
    first.finish()
    assert looks(own, clock, 100, 20, 19) == [200] * 3
    third = started(own)
    assert looks(own, clock, 1, 20, 20) == [200, 200, 503]
    serve(own)
    assert looks(own, clock, 10, 20, 20) == [200, 200, 503]
    second.finish()
    third.finish()
    assert looks(own, clock, 0, 20, 20, 20) == [200] * 4


def test_process_that_was_paused_in_a_request_is_not_stuck(own: Observer, clock: Clock) -> None:
    own.gateway.started()
    for _ in range(3):
        exchange = started(own)
        assert looks(own, clock, 10, 100_000) == [200, 200]
        exchange.finish()


def test_requests_that_have_ended_count_also_while_a_reader_of_lines_hangs(
    own: Observer, clock: Clock
) -> None:
    own.gateway.started()
    exchange = started(own)
    assert looks(own, clock, 0, 20) == [200, 200]
    assert _flusher.lock.take(None, timeout_seconds=60)  # as a thread has it that can't write
    try:
        exchange.status = 200
        exchange.finish()
        assert looks(own, clock, 20, 20, 20, 20) == [200] * 4
    finally:
        _flusher.lock.give()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_begins_anew(own: Observer, clock: Clock) -> None:
    async def run() -> None:
        own.gateway.started(loop=asyncio.get_running_loop())
        assert looks(own, clock, 0, 20, 20) == [200, 200, 503]
        child = os.fork()
        if not child:
            os._exit(looks(own, clock, 0, 20, 20, 20) != [200] * 4)
        assert os.waitpid(child, 0)[1] == 0

    asyncio.run(run())


def test_watchdog_looks_by_itself_and_tells_a_change_once() -> None:
    """It takes some tenths of a second, because the shortest time that can be allowed passes."""
    own = observer(watchdog_seconds=0.1)
    with caught("obs.health") as log:
        own.gateway.started()
        exchange = started(own)
        eventually(lambda: log.lines)
        assert ask(own, "live").status == 503  # at the first question
        exchange.finish()
        eventually(lambda: len(log.lines) == 2)
        own.gateway.stopped()
        eventually(lambda: not own.gateway._watchdog._is_due)  # type: ignore[union-attr]
    assert [line.split(": ", 1)[1] for line in log.lines] == [
        "liveness fails: requests are under way, and none has begun or ended for 0.1 s",
        "liveness passes again",
    ]


@pytest.mark.parametrize("value", [0, 0.01, -1, 3601, "nan", "inf", "soon"])
def test_time_that_makes_no_sense_is_an_error(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"watchdog_seconds must be a number of seconds from 0\.1 to 3600"):
        observer(watchdog_seconds=value)
