"""The one thread of ours in a process: it works when it is woken, and sleeps otherwise."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from obs_middleware import background
from obs_middleware.background import Worker
from obs_middleware.queue import Flusher, flush, later
from tests.core.support import Output, eventually, observer, python, serve


def test_without_a_thread_to_be_had_lines_are_written_at_once(
    output: Output, flusher: Flusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = observer()
    flusher.worker.is_asleep = True
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    for count in (1, 2):
        serve(own)
        assert len(output.lines()) == count


SERVING = """
import threading
from prometheus_client import CollectorRegistry
from obs_middleware import Observer, RequestInfo
for _ in range(3):
    own = Observer(access_log=False, log_setup=False, registry=CollectorRegistry())
    own.gateway.set_up()
    own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get)).finish()
print([thread.daemon for thread in threading.enumerate() if thread.name == "obs-background"])
"""


def test_thread_that_flushes_is_a_daemon_and_one_for_the_process() -> None:
    assert python(SERVING) == "[True]\n"


class Work:
    """Things to do, one with each call of the job; the thread that does them ends with the test."""

    def __init__(self, has_work: Callable[[], bool] = lambda: False) -> None:
        self.left = 0
        self.calls: list[int] = []
        self.worker = Worker(self.do, self._has_more)
        self._has_work = has_work
        self._calls_at_rest = -1  # after so many nothing more had come in

    def do(self) -> bool:
        self.calls.append(threading.get_ident())
        self.left = max(0, self.left - 1)
        return self.left > 0

    def _has_more(self) -> bool:
        has_more = self._has_work()
        if not has_more:
            self._calls_at_rest = len(self.calls)
        return has_more

    def rests(self) -> bool:
        """Tell whether the thread sleeps, and nobody has woken it since."""
        worker = self.worker
        return worker.is_asleep and not worker._bell.is_set() and self._calls_at_rest == len(self.calls)


def fallen_asleep(work: Work) -> int:
    """Wait until the thread sleeps, and return how often the job was called."""
    eventually(work.rests)
    return len(work.calls)


def test_worker_does_what_there_is_then_sleeps_until_it_is_woken() -> None:
    work = Work()
    assert work.worker.is_asleep
    for _ in range(2):
        work.left = 3
        assert work.worker.wake()
        eventually(lambda: not work.left)
        fallen_asleep(work)
    assert len(set(work.calls) - {threading.get_ident()}) == 1


def test_what_comes_in_while_the_worker_falls_asleep_is_not_left() -> None:
    comes_in_late = list[bool]()
    work = Work(lambda: bool(comes_in_late) and comes_in_late.pop())
    work.worker.wake()
    before = fallen_asleep(work)
    comes_in_late.append(True)
    work.worker.wake()  # once: nobody wakes it for what comes in late
    assert fallen_asleep(work) == before + 2


def test_worker_that_got_no_thread_asks_again_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    work = Work()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_to_be_had)
        assert not work.worker.wake()
    assert work.worker.is_asleep
    assert work.worker.wake()
    eventually(lambda: work.calls)


def test_jobs_are_called_when_they_are_due_in_their_order_and_by_the_same_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work, called, now = Work(), list[tuple[str, int]](), [time.monotonic()]
    monkeypatch.setattr(background, "monotonic", lambda: now[0])
    for name, seconds in (("third", 0.15), ("first", 0.0), ("second", 0.08)):
        assert work.worker.later(seconds, lambda name=name: called.append((name, threading.get_ident())))  # type: ignore[misc]
    work.worker.later(0.01, lambda: 1 / 0)
    for names in (["first"], ["first", "second"], ["first", "second", "third"]):
        eventually(lambda wanted=len(names): len(called) >= wanted)  # type: ignore[misc]
        assert [name for name, _ in called] == names
        now[0] += 0.08
    assert {thread for _, thread in called} == {*work.calls}


def test_jobs_are_called_while_the_worker_is_busy() -> None:
    work, left = Work(), list[int]()
    work.left = 1_000_000
    work.worker.later(0.01, lambda: left.append(work.left))
    eventually(lambda: left)
    assert left[0]
    work.left = 0


def test_jobs_are_called_while_others_flush_all_the_time() -> None:
    called = list[int]()
    later(0.05, lambda: called.append(1))
    eventually(lambda: flush() or called)


def test_a_job_may_ask_for_the_next_one() -> None:
    work, called = Work(), list[int]()

    def again() -> None:
        called.append(1)
        work.worker.later(0.01, again) if len(called) < 3 else None

    work.worker.later(0.01, again)
    eventually(lambda: len(called) == 3)
    fallen_asleep(work)


def test_a_job_for_the_end_of_time_keeps_nobody_from_his_work() -> None:
    """`Event.wait` raises beyond what the system's clock can count to."""
    done, work = threading.Event(), Worker(lambda: False, lambda: False)
    work.later(sys.maxsize, print)
    time.sleep(0.05)
    work.later(0.01, done.set)
    assert done.wait(60)
