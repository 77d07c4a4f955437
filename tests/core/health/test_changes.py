"""What is told when the status of a check changes, and only then."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from functools import partial
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer
from obs_middleware.health import Change
from obs_middleware.health.checks import Check, Run
from tests.core.health.probing import BEARER, SECRET, Clock, answered, ask, does_child, fail, probe
from tests.core.support import caught, eventually, forks_among_threads, internal_errors


class Broken:
    """A dependency that is broken, or not."""

    def __init__(self, *, is_broken: bool = True) -> None:
        self.is_broken = is_broken
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1
        if self.is_broken:
            fail()


def run(own: Observer, dependency: Broken, *answers: bool) -> list[str]:
    """Let the dependency be broken or not in one run after another; return the status after each."""
    (check,) = own.health.members("ready")
    statuses = []
    for is_broken in answers:
        before, dependency.is_broken = check.state().run, is_broken
        own.health.ask([check])
        eventually(partial(has_run_since, check, before))
        statuses.append(check.state().status)
    return statuses


def has_run_since(check: Check, before: Run | None) -> bool:
    return check.state().run is not before


def changes_of(own: Observer) -> list[Change]:
    changes: list[Change] = []
    own.health.on_change(changes.append)
    return changes


def told_of(component: str, records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    """Return the records of one check; a run that an earlier test has left may end, and be told, meanwhile."""
    return [record for record in records if getattr(record, "component", "") == component]


def test_a_change_is_logged_recorded_and_told_once(own: Observer) -> None:
    changes = changes_of(own)
    database = Broken()
    own.health.add("ledger", database, every_seconds=0)
    with caught("obs.health") as output:
        run(own, database, True, True, True, False, False)
        eventually(lambda: len(changes) == 2)
        eventually(lambda: len(told_of("ledger", output.records)) == 2)
    assert [(one.component, one.previous, one.status) for one in changes] == [
        ("ledger", "unknown", "fail"),
        ("ledger", "fail", "pass"),
    ]
    assert changes[0].output == "ConnectionError: postgres://REDACTED:REDACTED@db refused REDACTED"
    first, second = told_of("ledger", output.records)
    assert (first.levelname, second.levelname) == ("WARNING", "INFO")
    assert first.getMessage() == f"health check ledger fails: {changes[0].output}"
    assert second.getMessage() == "health check ledger passes again"
    fields = ("component", "health_status", "health_previous")
    assert [getattr(second, name) for name in fields] == ["ledger", "pass", "fail"]
    events = [event for event in own.events.recent() if event.name == "health_changed"]
    assert [event.labels["status"] for event in events] == ["fail", "pass"]
    assert SECRET not in str(events)


def test_first_pass_is_told_to_listeners_and_is_no_log_line(own: Observer) -> None:
    changes = changes_of(own)
    with caught("obs.health") as output:
        own.health.add("database", lambda: None)
        probe(own)
        eventually(lambda: len(changes) == 1)
    assert (changes[0].previous, changes[0].status, changes[0].output) == ("unknown", "pass", "")
    assert output.records == []


def test_warning_is_told_as_one(own: Observer) -> None:
    with caught("obs.health") as output:
        own.health.add("cache", lambda: False, critical=False)
        probe(own)
        eventually(lambda: output.records)
    assert output.records[0].getMessage() == "health check cache warns: returned False"


def test_listener_may_be_async_or_fail(own: Observer) -> None:
    told: list[Any] = []

    @own.health.on_change
    def broken(change: Change) -> None:
        raise ValueError("broken")

    @own.health.on_change
    async def tell(change: Change) -> None:
        told.append(change.component)

    own.health.add("database", lambda: None)
    probe(own)
    eventually(lambda: told == ["database"])
    assert internal_errors(own, "health") == 1
    wrong: Any = "tell"
    with pytest.raises(ConfigError, match="on_change"):
        own.health.on_change(wrong)


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("is_async", [False, True])
def test_listener_that_calls_exit_keeps_no_change_from_others(
    own: Observer, end: type[BaseException], is_async: bool
) -> None:
    def leave(change: Change) -> None:
        raise end

    async def leave_later(change: Change) -> None:
        raise end

    own.health.on_change(leave_later if is_async else leave)
    changes = changes_of(own)
    database = Broken()
    own.health.add("database", database, every_seconds=0)
    run(own, database, True, False, True)
    eventually(lambda: [one.status for one in changes] == ["fail", "pass", "fail"])
    assert internal_errors(own, "health") == 3


def test_changes_at_the_same_time_are_told_by_one_thread(
    own: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would tell them in another order."""
    original = threading.Thread.start

    def start_slowly(thread: threading.Thread) -> None:
        if thread.name == "obs-health":
            time.sleep(0.1)
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start_slowly)
    threads: list[int] = []

    @own.health.on_change
    def hear(change: Change) -> None:
        threads.append(threading.get_ident())
        time.sleep(0.1)

    own.health.add("one", fail)
    own.health.add("two", fail)
    probe(own)
    eventually(lambda: len(threads) == 2)
    assert len(set(threads)) == 1


def test_listener_that_hangs_holds_up_no_probe_and_no_check(own: Observer, hang: threading.Event) -> None:
    own.health.on_change(lambda change: hang.wait())
    database = Broken()
    own.health.add("database", database, every_seconds=0)
    assert run(own, database, True, False, True) == ["fail", "pass", "fail"]


def test_changes_are_told_where_no_thread_is_to_be_had(
    own: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    changes = changes_of(own)
    own.health.add("database", fail)
    assert probe(own)[0] == 503
    assert [one.status for one in changes] == ["fail"]


def test_a_check_that_flaps_fails_after_some_failures_and_heals_after_some_passes(own: Observer) -> None:
    database = Broken()
    own.health.add("database", database, every_seconds=0, failures_to_fail=3, passes_to_heal=2)
    changes = changes_of(own)
    assert run(own, database, False, True, True, False, True, True) == ["pass"] * 6
    assert "2 of 3 failures: ConnectionError" in own.health.members("ready")[0].state().output
    assert run(own, database, True, False, True, False) == ["fail"] * 4
    assert own.health.members("ready")[0].state().output.startswith("1 of 2 passes after: ConnectionError")
    assert run(own, database, False) == ["pass"]
    eventually(lambda: [one.status for one in changes] == ["pass", "fail", "pass"])


def test_first_answer_decides_alone(own: Observer) -> None:
    own.health.add("database", fail, failures_to_fail=3)
    assert answered(own)["output"].startswith("ConnectionError")
    assert probe(own)[0] == 503


@pytest.mark.hangs
def test_check_that_hangs_fails_without_being_asked_and_again_and_again(
    own: Observer, hang: threading.Event, clock: Clock
) -> None:
    changes = changes_of(own)
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.3, every_seconds=0.05, failures_to_fail=3)
    def database() -> None:
        runs.append(1)
        if len(runs) > 1:
            hang.wait()

    probe(own)  # and nobody asks again
    eventually(lambda: [one.status for one in changes] == ["pass"])
    clock.go_on(0.1)
    eventually(lambda: len(runs) == 2)
    clock.go_on(0.31)
    eventually(lambda: _value(own, "health_checks_total", status="fail") == 1)
    assert len(changes) == 1  # it has failed once
    clock.go_on(0.1)
    eventually(lambda: [one.status for one in changes] == ["pass", "fail"])
    assert changes[-1].output == "TimeoutError: no answer after 0.3 s"
    assert len(runs) == 2
    assert _value(own, "health_checks_total", status="fail") == 1


def test_check_runs_in_the_background_once_somebody_has_asked(own: Observer) -> None:
    database = Broken(is_broken=False)
    own.health.add("database", database, every_seconds=0.05)
    time.sleep(0.15)
    assert database.runs == 0
    probe(own)
    eventually(lambda: database.runs >= 3)
    own.close()
    eventually(lambda: _stands_still(database))


def _stands_still(database: Broken) -> bool:
    runs = database.runs
    time.sleep(0.15)
    return database.runs == runs


def test_check_runs_as_often_as_wanted_also_where_a_run_may_take_longer(own: Observer) -> None:
    runs: list[int] = []

    @own.health.check("database", every_seconds=0.05, timeout_seconds=60)
    def database() -> None:
        time.sleep(0.01)
        runs.append(1)

    ask(own, "ready")
    eventually(lambda: len(runs) >= 3)


def test_check_does_not_run_in_the_background_where_the_loop_of_the_app_has_ended(
    own: Observer, clock: Clock
) -> None:
    """As in tests that open a loop for each request."""
    changes = changes_of(own)
    runs: list[int] = []

    @own.health.check("database", every_seconds=0.05)
    async def database() -> None:
        runs.append(1)

    async def serve() -> int:
        own.gateway.started(loop=asyncio.get_running_loop())
        return (await asyncio.to_thread(probe, own))[0]

    for _ in range(2):
        assert asyncio.run(serve()) == 200
        clock.go_on(1)  # so that a run is due, and none was while the loop ran
        time.sleep(0.15)
    assert len(runs) == 2
    assert [one.status for one in changes] == ["pass"]


def test_what_goes_down_with_the_app_is_no_news(own: Observer) -> None:
    changes = changes_of(own)
    database = Broken(is_broken=False)
    own.health.add("database", database, every_seconds=0)
    probe(own)
    eventually(lambda: len(changes) == 1)
    own.close()
    database.is_broken = True
    (check,) = own.health.members("ready")
    check.ask()
    eventually(lambda: check.state().status == "fail")
    assert len(changes) == 1


def test_background_run_that_gets_no_thread_is_tried_again(
    own: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_broken = [True]
    runs: list[int] = []

    @own.health.check("database", every_seconds=0.05)
    def database() -> bool:
        runs.append(1)
        return not is_broken[0]  # a check that has failed gets a new thread

    own.health.members("ready")[0].ask()
    eventually(lambda: runs)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("obs-check"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        count = len(runs) + 1
        time.sleep(0.2)
        assert len(runs) <= count
    is_broken[0] = False
    eventually(lambda: probe(own)[0] == 200)


def test_metrics_say_what_readiness_says(own: Observer) -> None:
    own.health.add("database", fail, every_seconds=600)
    own.health.add("cache", lambda: False, critical=False)
    own.health.add("odd \ud800", lambda: None)
    assert _value(own, "health_status") == 0
    probe(own)
    eventually(lambda: _value(own, "health_status") == 3)
    eventually(lambda: _value(own, "health_status", component="cache") == 2)
    eventually(lambda: _value(own, "health_status", component="odd ?") == 1)
    eventually(lambda: _value(own, "health_check_duration_seconds_count") == 1)
    assert _value(own, "health_checks_total", status="fail") == 1
    page = own.gateway.reply(_request("/metrics"), "/metrics").body.decode()
    assert 'health_status{component="cache"} 2.0' in page


@forks_among_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_tells_its_own_changes(own: Observer) -> None:
    changes = changes_of(own)
    own.health.add("database", lambda: None, every_seconds=0.05)
    probe(own)
    eventually(lambda: len(changes) == 1)
    changes.clear()
    assert does_child(lambda: (ask(own, "ready"), [one.status for one in changes] == ["pass"])[1])


def _request(path: str) -> Any:
    from tests.core.support import request

    return request(path=path, headers=BEARER)


def _value(own: Observer, name: str, *, component: str = "database", **labels: str) -> float | None:
    return own.registry.get_sample_value(name, {"component": component, **labels})
