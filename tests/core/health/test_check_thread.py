"""A check keeps its thread from run to run, and gets a new one where what the old one keeps may be broken."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import pytest

from obs_middleware import Observer
from tests.core.health.probing import ask, does_child, probe, settled
from tests.core.support import eventually, forks_among_threads, observer


def test_check_that_passes_keeps_its_thread(own: Observer) -> None:
    threads: list[int] = []
    own.health.add("database", lambda: threads.append(threading.get_ident()), every_seconds=0)
    settled(own, 5, threads)
    assert len(set(threads)) == 1


@pytest.mark.hangs
def test_checks_do_not_share_a_thread(own: Observer, hang: threading.Event) -> None:
    own.health.add("hung", hang.wait, critical=False)
    own.health.add("database", lambda: None)
    eventually(lambda: probe(own) == (200, {"status": "warn"}))


def test_check_that_has_failed_gets_a_new_thread_without_what_the_old_one_kept(own: Observer) -> None:
    kept, runs = threading.local(), []

    @own.health.check("database", every_seconds=0)
    def database() -> None:
        runs.append(1)
        if kept.__dict__.setdefault("connection", "broken" if len(runs) == 1 else "new") == "broken":
            raise ConnectionError

    assert probe(own)[0] == 503
    assert probe(own)[0] == 200


def test_check_that_goes_on_failing_keeps_nothing_of_its_old_threads(own: Observer) -> None:
    runs: list[int] = []

    @own.health.check("database", every_seconds=0)
    def database() -> bool:
        runs.append(1)
        return False

    settled(own, 1, runs)
    before = _kept()
    settled(own, 30, runs)
    eventually(lambda: _kept() <= before + 1)


def test_threads_end_with_their_observer() -> None:
    own = observer(registry=None)
    own.gateway.started()
    own.health.add("short-lived", lambda: None)
    probe(own)
    assert "obs-check-short-lived" in _names()
    del own
    eventually(lambda: gc.collect() >= 0 and "obs-check-short-lived" not in _names())


def test_adapter_looks_after_what_a_thread_keeps(own: Observer) -> None:
    seen: list[str] = []
    own.gateway.surround_checks(
        lambda: seen.append(threading.current_thread().name), lambda: seen.append("end")
    )
    is_broken: list[bool] = [False]
    own.health.add("database", lambda: not is_broken[0], every_seconds=0)
    assert probe(own)[0] == 200
    assert seen == ["obs-check-database"] * 2
    is_broken[0] = True
    assert probe(own)[0] == 503
    eventually(lambda: seen[-1] == "end")


def test_adapter_that_fails_fails_no_check(own: Observer) -> None:
    def fail() -> None:
        raise ConnectionError

    own.gateway.surround_checks(fail, fail)
    own.health.add("database", lambda: None)
    assert probe(own)[0] == 200


@pytest.mark.hangs
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_has_threads_of_its_own(own: Observer, hang: threading.Event) -> None:
    """Also where the check runs at the moment of the fork, in a thread that the child does not have."""
    parent, runs = os.getpid(), []

    @own.health.check("database", every_seconds=0)
    def database() -> None:
        runs.append(1)
        if len(runs) == 2 and os.getpid() == parent:
            hang.wait()

    settled(own, 2, runs)
    assert does_child(lambda: ask(own, "ready").status == 200)


@forks_among_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_that_a_check_forks_ends_where_it_comes_back(own: Observer) -> None:
    """As one does whose `exec` fails; it would hold the sockets of the server."""
    children: list[int] = []

    @own.health.check("database", every_seconds=60)
    def database() -> None:
        child = os.fork()
        if child == 0:
            raise FileNotFoundError
        children.append(child)

    settled(own, 1, children)
    eventually(lambda: probe(own)[0] == 200)
    ended: list[int] = []

    def has_ended() -> bool:
        ended.append(os.waitpid(children[0], os.WNOHANG)[0])
        return ended[-1] == children[0]

    try:
        eventually(has_ended)
    finally:
        if children[0] not in ended:
            os.kill(children[0], 9)


def _kept() -> int:
    gc.collect()
    return sum(type(one).__name__ == "_Jobs" for one in gc.get_objects())


def _names() -> set[Any]:
    return {thread.name for thread in threading.enumerate()}
