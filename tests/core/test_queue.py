"""The records of finished exchanges wait a moment, and nobody can tell: no page, no reader of the log."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Observer, RequestRecord, flush_lock, queue
from obs_middleware.queue import Flusher, RecordQueue, flush
from tests.core.support import Output, internal_errors, observer, serve, started

COUNT = "http_server_request_duration_seconds_count"
LABELS = {
    "http_request_method": "GET",
    "http_route": "/a",
    "http_response_status_code": "200",
    "error_type": "",
}


def measured(own: Observer) -> float:
    return own.registry.get_sample_value(COUNT, LABELS) or 0.0


class Clock:
    """A stand-in for `time` in one thread, whose sleeping takes none; others keep the real one."""

    def __init__(self, flushes: list[float], flusher: Flusher) -> None:
        self.now = 100.0
        self._flushes = flushes  # when others flush
        self._flusher = flusher
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        return threading.get_ident() == self._thread

    def monotonic(self) -> float:
        return self.now if self.is_here() else time.monotonic()

    def sleep(self, seconds: float) -> None:
        if not self.is_here():
            time.sleep(seconds)
            return
        self.now += seconds
        while self._flushes and self._flushes[0] <= self.now:
            self._flusher.flushed = self._flushes.pop(0)


@pytest.mark.parametrize(
    ("others", "ends"),
    [([], 100.05), ([100.03], 100.08), ([100.01, 100.02, 100.06, 100.10], 100.15), ([99.9], 100.05)],
)
def test_what_waits_is_flushed_when_it_may_have_waited_for_50_ms(
    others: list[float], ends: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before: whatever others have flushed meanwhile, the rest has come since."""
    real_flush, flusher = flush, Flusher()
    clock, moments = Clock(others, flusher), list[float]()

    def noted(**timeout: float) -> bool:
        if not clock.is_here():  # the process's own thread goes on meanwhile
            return real_flush(**timeout)
        moments.append(clock.now)
        return False

    monkeypatch.setattr(queue, "time", clock)
    monkeypatch.setattr(queue, "flush", noted)
    assert not flusher._flush_when_due()
    assert moments == [pytest.approx(ends)]


def test_lines_of_many_are_written_at_once_and_all_of_them(output: Output) -> None:
    own = observer()
    for _ in range(500):
        serve(own, route="/a")
    own.close()
    assert output.messages() == ["GET /items/7 200"] * 500
    assert measured(own) == 500


def test_whoever_looks_at_the_metrics_sees_all_that_is_finished(output: Output) -> None:
    own = observer()
    for count in range(1, 80):
        serve(own, route="/a")
        assert measured(own) == count


class Records:
    """A queue with a sink that keeps the records, and what its failures were."""

    def __init__(self, sink: Callable[[Iterator[RequestRecord]], None] | None = None, sinks: int = 1) -> None:
        self.records: list[RequestRecord] = []
        self.discarded: list[RequestRecord] = []
        self.failures: list[tuple[str, Exception]] = []
        sink = sink or self.records.extend
        self.queue = RecordQueue(
            [(f"sink {number}", sink) for number in range(sinks)],
            self.discarded.append,
            lambda component, error: self.failures.append((component, error)),
        )

    def add(self, count: int = 1) -> None:
        exchange = started(observer(access_log=False))
        exchange.status = 200
        exchange.finish()
        for _ in range(count):
            self.queue.add(exchange.record())


def test_whoever_looks_waits_for_the_batch_that_another_thread_is_at() -> None:
    is_at_it = threading.Event()

    def slow(records: Iterator[RequestRecord]) -> None:
        is_at_it.set()
        time.sleep(0.2)
        kept.records.extend(records)

    kept = Records(slow)
    kept.add()
    assert is_at_it.wait(60)  # in our own thread
    flush(timeout_seconds=60)
    assert len(kept.records) == 1


def test_nothing_waits_until_records_wait_for_others_again() -> None:
    kept, seen = Records(), list[int]()

    def flush_now() -> None:
        flush()
        seen.append(len(kept.records))

    kept.queue.hold_nothing(flush_now)
    kept.add(2)
    assert seen == [1, 2]
    kept.queue.hold_again()
    kept.add()
    flush()
    assert (len(kept.records), seen) == (3, [1, 2])


def test_every_sink_gets_every_record_once_and_in_order() -> None:
    kept = Records(sinks=2)
    kept.add(3)
    flush()
    assert len(kept.records) == 6


def test_sink_that_fails_for_one_record_gets_those_after_it() -> None:
    taken: list[RequestRecord] = []

    def failing(records: Iterator[RequestRecord]) -> None:
        for record in records:
            taken.append(record)
            if len(taken) == 2:
                raise ValueError("the second")

    kept = Records(failing)
    kept.add(4)
    flush()
    assert len(taken) == 4
    assert [(component, str(error)) for component, error in kept.failures] == [("sink 0", "the second")]


@pytest.mark.usefixtures("flusher")
def test_sink_that_takes_nothing_and_fails_is_told_once() -> None:
    def broken(records: Iterator[RequestRecord]) -> None:
        raise ValueError("never")

    kept = Records(broken)
    kept.add(4)
    flush()
    assert len(kept.failures) == 1


def test_threads_lose_nothing_and_count_nothing_twice(output: Output) -> None:
    own = observer()

    def work() -> None:
        for _ in range(400):
            serve(own, route="/a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        measured(own)
    for thread in threads:
        thread.join()
    assert measured(own) == 3200
    own.close()
    assert len(output.lines()) == 3200


def test_failure_to_record_one_leaves_the_others(output: Output) -> None:
    own = observer()
    for route in ("/a", ["no text, which is no part of a key"], "/a"):
        serve(own, route=route)
    assert measured(own) == 2
    assert internal_errors(own, "metrics") == 1
    assert "GET /items/7 200" in output.messages()


def test_what_waits_while_the_log_is_stuck_is_bounded_and_told(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_CAPACITY", 80)
    monkeypatch.setattr(queue, "_TIMEOUT_SECONDS", 0.01)
    own = observer()
    is_stuck, goes_on = threading.Event(), threading.Event()
    lock = queue._flusher.lock

    def stuck() -> None:  # a thread whose write does not return
        lock.take(sys._getframe(), timeout_seconds=60)
        is_stuck.set()
        goes_on.wait(60)
        lock.give()

    thread = threading.Thread(target=stuck)
    thread.start()
    is_stuck.wait(60)
    for _ in range(100):
        serve(own, route="/a")
    goes_on.set()
    thread.join()
    assert measured(own) == 80
    assert internal_errors(own, "queue") == 20


@pytest.mark.usefixtures("flusher")
def test_a_record_costs_few_calls_when_its_batch_is_flushed(output: Output) -> None:
    own, calls = observer(), [0]
    for _ in range(100):
        serve(own, route="/a")
    flush()
    for _ in range(63):
        serve(own, route="/a")

    def count(frame: Any, event: str, argument: Any) -> None:
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        flush()
    finally:
        sys.setprofile(None)
    assert len(output.lines()) == 163
    assert calls[0] / 63 <= 25  # measured and written


@pytest.mark.usefixtures("flusher")
def test_what_an_observer_leaves_that_is_gone_is_recorded(output: Output) -> None:
    registry = CollectorRegistry()
    serve(observer(registry=registry), route="/a")
    gc.collect()
    assert registry.get_sample_value(COUNT, LABELS) == 1
    assert output.messages() == ["GET /items/7 200"]


@pytest.mark.usefixtures("flusher")
def test_batch_that_a_signal_interrupts_is_handed_over_all_the_same() -> None:
    interruptions = [KeyboardInterrupt()]

    def interrupted(records: Iterator[RequestRecord]) -> None:
        for record in records:
            kept.records.append(record)
            if interruptions and len(kept.records) == 2:
                raise interruptions.pop()

    kept = Records(interrupted)
    kept.add(5)
    with pytest.raises(KeyboardInterrupt):
        flush()
    kept.add()  # what has come since is seen as well
    flush()
    assert len(kept.records) == 6


@pytest.mark.usefixtures("flusher")
def test_exception_out_of_a_signals_handler_leaves_nothing_locked() -> None:
    """Wherever it hits: between any two instructions of a flush."""

    class Interrupt(BaseException):
        pass

    def interrupt_at(instruction: int) -> bool:
        """Raise at that instruction of the queue's code; tell whether it came to it."""
        left = [instruction]

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename not in (queue.__file__, flush_lock.__file__):
                return None
            frame.f_trace_opcodes = True
            left[0] -= event in ("opcode", "line")  # the first releases of 3.12 tell lines alone
            if left[0] < 0:
                raise Interrupt
            return trace

        former = sys.gettrace()
        sys.settrace(trace)
        try:
            flush()
        except Interrupt:
            return True
        finally:
            sys.settrace(former)
        return False

    kept, count = Records(), 1
    kept.add()
    while interrupt_at(count):
        assert not queue._flusher.lock.is_held
        flush(timeout_seconds=0)
        assert len(kept.records) == count
        kept.add()
        count += 1
    assert count > 20


@pytest.mark.parametrize("is_ours", [True, False])
def test_fork_takes_the_flush_lock_from_nobody(is_ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_TIMEOUT_SECONDS", 0.01)
    flusher, is_over = Flusher(), threading.Event()
    is_taken = threading.Event()

    def hold() -> None:
        flusher.lock.take(sys._getframe(), timeout_seconds=1)
        is_taken.set()
        is_over.wait(60)

    if is_ours:
        flusher.lock.take(sys._getframe(), timeout_seconds=1)
    else:
        threading.Thread(target=hold, daemon=True).start()
        is_taken.wait(60)
    flusher._hold()
    flusher._release()
    assert flusher.lock.is_held
    is_over.set()
