"""Pages are made one at a time, and shared by those who asked before they were active_key."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from obs_middleware.metrics.exposition.single_flight import SingleFlight
from tests.core.support import eventually


class Making:
    """Something that is made when it is allowed to, and tells how often."""

    def __init__(self) -> None:
        self.active_key = 0
        self.allowed = threading.Semaphore(0)

    def __call__(self) -> int:
        self.active_key += 1
        number = self.active_key
        assert self.allowed.acquire(timeout=60)
        return number


def test_who_asks_while_one_is_made_shares_the_next() -> None:
    shared, making = SingleFlight[int](), Making()
    with ThreadPoolExecutor(10) as threads:
        first = threads.submit(shared.get, "a", making)
        eventually(lambda: making.active_key == 1)
        others = [threads.submit(shared.get, "a", making) for _ in range(9)]
        eventually(lambda: "a" in shared._awaited)
        waiting = shared._awaited["a"]._condition
        eventually(lambda: len(waiting._waiters) == 8)  # type: ignore[attr-defined]  # and one is about to make it
        making.allowed.release(10)
        assert first.result() == 1
        assert {other.result() for other in others} == {2}
    assert making.active_key == 2


def test_different_things_are_not_shared_and_made_one_after_the_other() -> None:
    shared, first, second = SingleFlight[int](), Making(), Making()
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(shared.get, "a", first)
        eventually(lambda: first.active_key)
        other = threads.submit(shared.get, "b", second)
        eventually(lambda: "b" in shared._awaited)
        assert second.active_key == 0
        second.allowed.release()
        first.allowed.release()
        assert (one.result(), other.result()) == (1, 1)


def test_one_after_the_other_makes_each_anew() -> None:
    shared, making = SingleFlight[int](), Making()
    making.allowed.release(2)
    assert [shared.get("a", making), shared.get("a", making)] == [1, 2]


def test_error_reaches_all_who_wait_and_the_next_try_is_free() -> None:
    def fail() -> int:
        raise LookupError("no page")

    shared = SingleFlight[int]()
    for _ in range(2):
        with pytest.raises(LookupError):
            shared.get("a", fail)
    assert shared.get("a", lambda: 1) == 1


def test_thread_that_is_stopped_in_the_middle_keeps_nobody_waiting() -> None:
    shared, making = SingleFlight[int](), Making()

    def stop() -> int:
        raise KeyboardInterrupt

    def ask(answer: Future[int]) -> None:
        try:
            answer.set_result(shared.get("a", stop))
        except BaseException as error:
            answer.set_exception(error)

    busy = threading.Thread(target=shared.get, args=("b", making))
    busy.start()
    eventually(lambda: making.active_key)
    answers = [Future[int](), Future[int]()]
    asking = [threading.Thread(target=ask, args=(answer,)) for answer in answers]
    for thread in asking:
        thread.start()
    eventually(lambda: "a" in shared._awaited)
    making.allowed.release()
    errors = {type(answer.exception(timeout=60)) for answer in answers}
    assert KeyboardInterrupt in errors
    assert errors <= {KeyboardInterrupt, CancelledError}
    for thread in (busy, *asking):
        thread.join(60)
    assert shared.get("a", lambda: 1) == 1
