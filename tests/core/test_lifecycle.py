"""A service starts, serves, drains and may start again; the probes tell."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer, lifecycle
from tests.core.health.probing import BEARER, TOKEN, ask, probe
from tests.core.support import eventually, internal_errors, observer, python, request


@pytest.fixture
def own() -> Observer:
    made = observer(health_token=TOKEN)
    made.gateway.started()
    return made


def test_startup_and_ready_pass_once_the_app_has_started() -> None:
    own = observer()
    assert probe(own, "startup") == (503, {"status": "fail"})
    assert probe(own, "ready") == (503, {"status": "fail"})
    own.gateway.started()
    assert probe(own, "startup") == (200, {"status": "pass"})
    assert probe(own, "ready") == (200, {"status": "pass"})


@pytest.mark.parametrize("stop", [lambda own: own.lifecycle.drain(), Observer.close])
def test_ready_alone_fails_while_the_service_drains(own: Observer, stop: Callable[[Observer], None]) -> None:
    stop(own)
    assert probe(own, "ready") == (503, {"status": "fail"})
    assert probe(own, "startup") == (200, {"status": "pass"})
    own.gateway.started()  # as an adapter may say again while it drains
    assert probe(own, "ready") == (503, {"status": "fail"})


def test_service_that_starts_again_after_a_stop_is_ready_again(own: Observer) -> None:
    own.lifecycle.drain()
    own.gateway.starting()
    assert probe(own, "startup") == probe(own, "ready") == (503, {"status": "fail"})
    own.gateway.started()
    assert probe(own, "startup") == probe(own, "ready") == (200, {"status": "pass"})


# Initialisers


def test_startup_fails_until_every_initialiser_has_gone_well(own: Observer) -> None:
    own = observer(health_token=TOKEN)
    loaded, ran = threading.Event(), list[str]()

    @own.lifecycle.initialiser
    def load_model() -> None:
        ran.append("model")
        loaded.wait(60)

    @own.lifecycle.initialiser
    async def warm_cache() -> None:
        await asyncio.sleep(0)
        ran.append("cache")

    own.gateway.started(is_serving=False)
    assert (probe(own, "startup"), ran) == ((503, {"status": "fail"}), [])
    own.gateway.started()
    own.gateway.started()  # as each probe says again
    eventually(lambda: ran == ["model"])
    assert probe(own, "ready")[0] == 503
    assert probe(own, "live")[0] == 200
    assert probe(own, "startup", **BEARER) == (
        503,
        {
            "status": "fail",
            "checks": {
                "load_model": [{"status": "fail", "output": "still runs"}],
                "warm_cache": [{"status": "fail", "output": "has not run yet"}],
            },
        },
    )
    loaded.set()
    eventually(lambda: probe(own, "startup")[0] == 200)
    assert (probe(own, "ready")[0], ran, own.lifecycle.state) == (200, ["model", "cache"], "serving")


def test_an_initialiser_that_fails_is_told_and_keeps_startup_failing(caplog: Any) -> None:
    own = observer(health_token=TOKEN)
    for error in (ConnectionError("postgres://app:hunter2x@db refused"), SystemExit(3)):

        def fail(error: BaseException = error) -> None:
            raise error

        own.lifecycle.initialiser(fail)
    own.lifecycle.started()
    eventually(lambda: "SystemExit" in own.lifecycle.initialisers["fail"] and len(caplog.messages) == 2)
    assert "the app does not start: initialiser fail has failed: ConnectionError" in caplog.messages[0]
    assert "hunter2x" not in caplog.text
    status, content = probe(own, "startup", **BEARER)
    assert (status, content["status"]) == (503, "fail")
    assert content["checks"]["fail"][0]["output"].startswith("has failed: SystemExit")
    assert own.lifecycle.state == "starting"


def test_an_async_initialiser_runs_in_the_apps_loop() -> None:
    own = observer()
    loops: list[Any] = []

    async def serve() -> None:
        @own.lifecycle.initialiser
        async def connect() -> None:
            loops.append(asyncio.get_running_loop())

        own.gateway.started(loop=asyncio.get_running_loop())
        while own.lifecycle.state != "serving":
            await asyncio.sleep(0.005)
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(serve())


def test_one_that_is_registered_late_runs_at_once_also_without_a_loop() -> None:
    own = observer()
    own.lifecycle.started()
    ran = threading.Event()

    @own.lifecycle.initialiser
    async def late() -> None:
        ran.set()

    assert ran.wait(60)
    eventually(lambda: own.lifecycle.is_started)
    with pytest.raises(ConfigError, match="an initialiser must be a function, got 7"):
        own.lifecycle.initialiser(7)  # type: ignore[type-var]


def test_without_threads_initialisers_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = observer(drain_seconds=1)
    own.lifecycle.initialiser(lambda: None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    own.lifecycle.started()
    assert own.lifecycle.state == "serving"


def test_what_has_failed_runs_again_when_the_app_starts_again() -> None:
    """As an async one does whose loop has ended meanwhile."""
    own, loading, loaded = observer(health_token=TOKEN), list[str](), list[str]()

    @own.lifecycle.initialiser
    async def load() -> None:
        loading.append("model")
        await asyncio.sleep(600 if len(loading) == 1 else 0.02)
        loaded.append("model")

    async def serve(is_over: Callable[[], object]) -> None:
        own.gateway.starting()
        own.gateway.started(loop=asyncio.get_running_loop())
        end = time.monotonic() + 60
        while time.monotonic() < end and not is_over():
            await asyncio.sleep(0.001)
            own.gateway.started(loop=asyncio.get_running_loop())  # as each probe says

    asyncio.run(serve(lambda: loading))
    assert loaded == []
    asyncio.run(serve(lambda: own.lifecycle.state == "serving"))
    assert (loading, loaded) == (["model"] * 2, ["model"])
    assert own.lifecycle.state == "serving"


def test_of_two_with_one_name_the_one_that_fails_is_told() -> None:
    own = observer(health_token=TOKEN)
    own.lifecycle.initialiser(lambda: 1 / 0)
    own.lifecycle.initialiser(lambda: None)
    own.gateway.started()
    eventually(lambda: "ZeroDivisionError" in own.lifecycle.initialisers["<lambda>"])


def test_requests_that_come_together_run_each_initialiser_once(monkeypatch: pytest.MonkeyPatch) -> None:
    own, runs, both = observer(), list[int](), threading.Barrier(2)
    own.lifecycle.initialiser(lambda: runs.append(1))
    own.lifecycle.initialiser(lambda: time.sleep(0.1))
    make = threading.Thread

    def make_slowly(*args: Any, **kwargs: Any) -> threading.Thread:
        time.sleep(0.05)
        return make(*args, **kwargs)

    def serve() -> None:
        both.wait()
        own.lifecycle.started()

    requests = [make(target=serve) for _ in range(2)]
    monkeypatch.setattr(threading, "Thread", make_slowly)
    for one in requests:
        one.start()
    eventually(lambda: own.lifecycle.state == "serving")
    for one in requests:
        one.join()
    assert runs == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_each_forked_worker_runs_its_own_initialisers() -> None:
    code = """
import os
from obs_middleware import Observer
own = Observer()
own.lifecycle.initialiser(lambda: print("ran in the", "parent" if os.getpid() == parent else "child", flush=True))
parent = os.getpid()
own.gateway.started(is_serving=False)
if os.fork() == 0:
    own.gateway.started()
    while own.lifecycle.state != "serving": pass
    os._exit(0)
os.wait()
"""
    assert python(code) == "ran in the child\n"


# Changes


def test_listeners_are_called_at_each_change_and_one_that_fails_harms_nobody() -> None:
    own = observer()
    changes: list[tuple[str, str]] = []

    @own.lifecycle.on_change
    def fail(before: str, now: str) -> None:
        raise ValueError(now)

    own.lifecycle.on_change(lambda before, now: changes.append((before, now)))
    own.gateway.started()
    own.gateway.started()
    own.lifecycle.drain()
    own.lifecycle.drain()
    own.close()
    own.gateway.starting()
    assert changes == [
        ("starting", "serving"),
        ("serving", "draining"),
        ("draining", "stopped"),
        ("stopped", "starting"),
    ]


@pytest.mark.parametrize("end", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_a_listener_that_calls_exit_harms_nobody(end: type[BaseException]) -> None:
    own, changes = observer(), list[str]()

    @own.lifecycle.on_change
    def leave(before: str, now: str) -> None:
        raise end

    own.lifecycle.on_change(lambda before, now: changes.append(now))
    own.gateway.started()
    own.lifecycle.drain()
    assert changes == ["serving", "draining"]
    assert internal_errors(own, "lifecycle") == 2


def test_listeners_get_changes_in_their_order_also_those_that_listeners_make() -> None:
    own, changes = observer(), list[tuple[str, str]]()

    @own.lifecycle.on_change
    def drain(before: str, now: str) -> None:
        own.lifecycle.on_change(lambda before, now: changes.append(("later", now)))
        own.lifecycle.drain()

    own.lifecycle.on_change(lambda before, now: changes.append((before, now)))
    own.gateway.started()
    assert changes == [("starting", "serving"), ("serving", "draining"), ("later", "draining")]


def test_a_change_is_told_also_where_a_listener_has_taken_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_LISTENER_SECONDS", 0.01)
    own, entered, release, changes = observer(), threading.Event(), threading.Event(), list[str]()

    @own.lifecycle.on_change
    def slow(before: str, now: str) -> None:
        if now == "serving":
            entered.set()
            release.wait(60)
        changes.append(now)

    starting = threading.Thread(target=own.gateway.started)
    starting.start()
    assert entered.wait(60)
    own.lifecycle.drain()
    release.set()
    starting.join()
    assert changes == ["serving", "draining"]


@pytest.mark.parametrize("listener", [None, "note"])
def test_what_can_not_be_called_is_no_listener(listener: Any) -> None:
    with pytest.raises(ConfigError, match=r"lifecycle\.on_change"):
        observer().lifecycle.on_change(listener)


def test_an_async_function_is_no_listener() -> None:
    async def note(before: str, now: str) -> None: ...

    with pytest.raises(ConfigError, match=r"lifecycle\.on_change .* not async"):
        observer().lifecycle.on_change(note)


def test_a_listener_that_hangs_does_not_keep_the_app_from_its_end() -> None:
    own, entered, release, ended = observer(), threading.Event(), threading.Event(), list[str]()

    @own.lifecycle.on_change
    def hang(before: str, now: str) -> None:
        if now == "draining":
            entered.set()
            release.wait(60)
            ended.append(now)

    own.gateway.started()
    threading.Thread(target=own.lifecycle.drain, daemon=True).start()
    assert entered.wait(60)
    own.close()
    assert (own.lifecycle.state, ended) == ("stopped", [])
    release.set()


# By request


def drain(own: Observer, **headers: str) -> tuple[int, Any]:
    path = "/health/drain"
    reply = own.gateway.reply(request("POST", path, headers=headers), path)
    return reply.status, reply.body


def test_a_post_with_the_token_begins_to_drain(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "obs")
    own = observer(health_token=TOKEN, drain_seconds=700)
    own.gateway.started()
    assert drain(own)[0] == drain(own, authorization="Bearer wrong")[0] == 401
    assert ask(own, "drain").status == 405
    assert probe(own)[0] == 200
    status, body = drain(own, **BEARER)
    assert (status, json.loads(body)) == (202, {"status": "draining", "drain_seconds": 700})
    assert "a request begins the drain" in caplog.text
    assert probe(own)[0] == 503
    assert 600 < own.lifecycle.drain_ends_in <= 700


def test_without_a_token_nobody_drains_by_request() -> None:
    assert "/health/drain" not in observer().gateway.paths
    assert "/health/drain" not in observer(health_token=TOKEN, drain_path=None).gateway.paths


@pytest.mark.parametrize("name", ["live", "ready", "startup"])
def test_a_worker_learns_by_any_probe_that_another_was_asked_to_drain(name: str, tmp_path: Path) -> None:
    one, other = observer(), observer()
    for each in (one, other):
        each.lifecycle.shared_folder = lambda: tmp_path
        each.gateway.started()
    time.sleep(0.02)  # a file's time is some milliseconds behind
    one.lifecycle.drain_all()
    probe(other, name)
    assert other.lifecycle.state == "draining"


def test_a_request_drains_all_workers_that_share_a_directory(tmp_path: Path) -> None:
    one, other, later = (lifecycle.Lifecycle() for _ in range(3))
    for each in (one, other, later):
        each.shared_folder = lambda: tmp_path
        each.started()
        each.look()
    time.sleep(0.02)  # a file's time is some milliseconds behind
    one.drain_all()
    other.look()
    assert (one.state, other.state) == ("draining", "draining")
    time.sleep(0.02)
    later.starting()
    later.started()
    later.look()
    assert later.state == "serving"


def test_a_worker_drains_also_where_it_can_not_tell_the_others(tmp_path: Path) -> None:
    own = observer(health_token=TOKEN)
    own.lifecycle.shared_folder = lambda: tmp_path / "gone"
    own.gateway.started()
    assert drain(own, **BEARER)[0] == 202
    assert own.lifecycle.state == "draining"
    assert internal_errors(own, "lifecycle") == 1


def test_in_a_pod_a_drain_takes_five_seconds_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert observer().lifecycle.drain_seconds == 0
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert observer().lifecycle.drain_ends_in == 5
    assert observer(drain_seconds=0).lifecycle.drain_seconds == 0
