"""Threads for probes and pages: where none can be started, the caller's own thread does the work."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Iterator

import pytest

from obs_middleware.ops.threads import Threads
from tests.core.ops.asking import ask
from tests.core.support import eventually, observer, python


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(2, "own")
    yield pool
    pool.shutdown()


def none_to_be_had(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_call_runs_in_a_thread_of_the_given_name(threads: Threads) -> None:
    name = threads.submit(lambda: threading.current_thread().name).result()
    assert name.startswith("own")


def test_call_runs_here_where_no_thread_can_be_started(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_to_be_had)
        for _ in range(2):
            assert threads.submit(threading.get_ident).result() == threading.get_ident()
    assert threads.submit(threading.get_ident).result() != threading.get_ident()


def test_exception_of_a_call_that_runs_here_is_its_own(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result()


def test_what_waits_for_a_thread_is_done_though_no_further_one_can_be_started(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    first = threads.submit(go_on.wait)
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    assert threads.submit(threading.get_ident).result() == threading.get_ident()
    go_on.set()
    assert first.result(30)


def test_calls_run_beside_each_other_and_an_idle_thread_is_used_again(threads: Threads) -> None:
    both = threading.Barrier(2, timeout=30)
    assert sorted(one.result(30) for one in [threads.submit(both.wait) for _ in range(2)]) == [0, 1]
    names = {threads.submit(lambda: threading.current_thread().name).result(30) for _ in range(10)}
    assert names <= {"own_0", "own_1"}


def test_result_of_a_call_is_not_held(threads: Threads) -> None:
    class Page:
        pass

    made = threads.submit(Page)
    page = weakref.ref(made.result(30))
    del made
    threads.submit(bool).result(30)
    gc.collect()
    assert page() is None


def test_threads_end_with_their_pool() -> None:
    pool = Threads(1, "short-lived")
    pool.submit(bool).result(30)
    del pool
    gc.collect()
    eventually(lambda: not [one for one in threading.enumerate() if one.name == "short-lived_0"])


def test_call_that_hangs_keeps_no_process_from_ending() -> None:
    code = """
import threading
from obs_middleware.ops.threads import Threads
begun = threading.Event()
Threads(1, "own").submit(lambda: (begun.set(), threading.Event().wait()))
print(begun.wait(30))
"""
    assert python(code) == "True\n"


@pytest.mark.parametrize("path", ["/metrics", "/health/ready"])
def test_probe_in_an_event_loop_is_answered_without_threads(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    own = observer()
    own.gateway.started()
    own.health.add("database", lambda: None, timeout_seconds=60)

    async def main() -> int:
        threads = own.gateway.threads(path)
        if threads is None:
            return ask(own, path).status
        reply = await asyncio.get_running_loop().run_in_executor(threads, ask, own, path)
        return reply.status

    assert asyncio.run(main()) == 200


FORK = """
import os
from obs_middleware import Observer, RequestInfo
own = Observer(log_setup=False)
asked = RequestInfo("GET", "/metrics", "", "http", lambda _: None), "/metrics"
def page():
    return own.gateway.threads("/metrics").submit(own.gateway.reply, *asked).result(60).status
assert page() == 200
child = os.fork()
if not child:
    try:
        os.write(1, b"child %d" % page())
    finally:
        os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_that_was_forked_after_a_page_was_asked_for_answers_pages() -> None:
    assert python(FORK, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"}) == "child 200"
