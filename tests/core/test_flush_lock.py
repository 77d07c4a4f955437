"""The flush lock is held by one at a time, and never by one that has ended."""

from __future__ import annotations

import sys
import threading

from obs_middleware.flush_lock import FlushLock


def test_lock_that_an_exception_has_left_held_is_taken_over_by_any_thread() -> None:
    lock = FlushLock()

    def leave_it_held() -> None:
        assert lock.take(sys._getframe(), timeout_seconds=0)

    leave_it_held()
    assert not lock.is_held
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.take(sys._getframe(), timeout_seconds=0)))
    thread.start()
    thread.join()
    assert taken == [True]


def test_lock_is_had_by_one_of_many_threads_at_a_time() -> None:
    lock, inside, most = FlushLock(), [0], [0]

    def work() -> None:
        for _ in range(200):
            if lock.take(sys._getframe(), timeout_seconds=60):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1
                lock.give()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
