"""The probes: quick whatever the checks do, and silent to whoever may not know."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer, Reply
from tests.core.support import eventually, internal_errors, observer, request

SECRET = "hunter2x"
TOKEN = "health-token"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def own() -> Observer:
    made = observer(health_token=TOKEN)
    made.gateway.started()
    return made


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Let go of what hangs when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def probe(own: Observer, name: str = "ready", **headers: str) -> tuple[int, dict[str, Any]]:
    reply = ask(own, name, **headers)
    assert reply.headers["Content-Type"] == "application/health+json"
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.status, json.loads(reply.body)


def ask(own: Observer, name: str, **headers: str) -> Reply:
    path = f"/health/{name}"
    return own.gateway.reply(request(path=path, headers=headers), path)


def detail(own: Observer, name: str = "database") -> dict[str, Any]:
    (found,) = probe(own, **BEARER)[1]["checks"][name]
    return dict(found)


def settled(own: Observer, count: int, runs: list[Any]) -> None:
    """Ask until the check has run so often and has answered."""
    eventually(lambda: (ask(own, "ready"), len(runs) >= count)[1])


def fail() -> None:
    raise ConnectionError(f"postgres://app:{SECRET}@db refused jane@example.org")


# States


def test_live_passes_from_the_beginning_and_asks_no_check() -> None:
    own = observer()
    own.health.add("database", fail)
    assert probe(own, "live") == (200, {"status": "pass"})
    own.lifecycle.drain()
    assert probe(own, "live") == (200, {"status": "pass"})


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


# Checks


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


def test_failure_of_a_check_that_is_not_critical_is_a_warning(own: Observer) -> None:
    own.health.add("cache", fail, critical=False)
    assert probe(own) == (200, {"status": "warn"})
    own.health.add("database", fail)
    assert probe(own) == (503, {"status": "fail"})
    assert detail(own, "cache")["status"] == "warn"


def test_decorator_registers_the_function_and_returns_it(own: Observer) -> None:
    @own.health.check("database", critical=False)
    def database() -> bool:
        return False

    assert database() is False
    assert probe(own) == (200, {"status": "warn"})


def test_details_have_the_shape_of_health_json(own: Observer) -> None:
    own.health.add("database", lambda: None)
    found = detail(own)
    assert (found["status"], found["observedUnit"]) == ("pass", "ms")
    assert 0 <= found["observedValue"] < 1000
    assert found["time"].endswith("+00:00")


def test_hung_check_is_answered_quickly_and_not_run_twice(own: Observer, hang: threading.Event) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.4)
    def database() -> None:
        runs.append(1)
        hang.wait()

    began = time.monotonic()
    assert probe(own) == (503, {"status": "fail"})
    assert time.monotonic() - began < 0.35  # 100 ms, and a machine that is busy
    assert detail(own)["output"] == "no answer yet"
    eventually(lambda: detail(own)["output"] == "TimeoutError: no answer after 0.4 s")
    assert len(runs) == 1


def test_hung_checks_wait_together_and_not_one_after_another(own: Observer, hang: threading.Event) -> None:
    for number in range(20):
        own.health.add(f"check {number}", hang.wait)
    began = time.monotonic()
    assert probe(own)[0] == 503
    assert time.monotonic() - began < 1


def test_run_that_took_too_long_has_failed_also_when_it_has_come_to_an_end(own: Observer) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.02, cache_seconds=60)
    def database() -> None:
        time.sleep(0.05)
        runs.append(1)

    settled(own, 1, runs)
    eventually(lambda: "no answer yet" not in detail(own).get("output", ""))
    assert probe(own)[0] == 503
    assert "TimeoutError" in detail(own)["output"]


def test_result_is_kept_for_its_time(own: Observer) -> None:
    runs: list[int] = []
    own.health.add("database", lambda: runs.append(1), cache_seconds=60)
    for _ in range(5):
        assert probe(own)[0] == 200
    assert len(runs) == 1


def test_check_that_has_recovered_passes_again(own: Observer) -> None:
    is_broken = [True]
    own.health.add("database", lambda: not is_broken[0], cache_seconds=0)
    assert probe(own)[0] == 503
    is_broken.clear()
    is_broken.append(False)
    assert probe(own)[0] == 200


def test_hung_check_that_comes_back_is_run_again(own: Observer, hang: threading.Event) -> None:
    runs: list[int] = []

    @own.health.check("database", timeout_seconds=0.01, cache_seconds=0)
    def database() -> None:
        runs.append(1)
        hang.wait()

    assert probe(own)[0] == 503
    hang.set()
    eventually(lambda: probe(own)[0] == 200)
    assert len(runs) > 1


def test_check_that_can_get_no_thread_is_tried_again(own: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    own.health.add("database", lambda: None)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert ask(own, "ready").status == 503
    eventually(lambda: ask(own, "ready").status == 200, within_seconds=2)


# Async checks


def test_async_check_runs_in_a_loop_of_its_own_where_none_serves(own: Observer) -> None:
    loops: list[object] = []

    @own.health.check("database", cache_seconds=0)
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


# Registration


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("", print, {}),
        (None, print, {}),
        ("database", None, {}),
        ("database", "print", {}),
        ("database", print, {"timeout_seconds": 0}),
        ("database", print, {"timeout_seconds": -1}),
        ("database", print, {"timeout_seconds": float("nan")}),
        ("database", print, {"timeout_seconds": "1"}),
        ("database", print, {"timeout_seconds": None}),
        ("database", print, {"cache_seconds": -1}),
        ("database", print, {"cache_seconds": float("nan")}),
        ("database", print, {"cache_seconds": "1"}),
    ],
)
def test_bad_check_is_told_at_once(own: Observer, name: Any, function: Any, options: Any) -> None:
    with pytest.raises(ConfigError, match="check"):
        own.health.add(name, function, **options)
    assert probe(own) == (200, {"status": "pass"})


def test_name_of_a_check_can_be_taken_once(own: Observer) -> None:
    own.health.add("database", print)
    with pytest.raises(ConfigError, match="'database'"):
        own.health.add("database", print)


# Who may know


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer é\xff",
        f"Bearer {TOKEN},{TOKEN}",
    ],
)
def test_the_unauthorised_learn_the_status_alone(own: Observer, authorization: str) -> None:
    own.health.add("database", fail)
    assert probe(own, authorization=authorization) == (503, {"status": "fail"})
    reply = ask(own, "ready", authorization=authorization)
    for word in (b"database", b"Connection", SECRET.encode()):
        assert word not in reply.body


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", f"BEARER {TOKEN}"])
def test_token_shows_the_details_in_any_spelling_of_its_scheme(own: Observer, authorization: str) -> None:
    own.health.add("database", fail)
    status, body = probe(own, authorization=authorization)
    assert (status, body["status"]) == (503, "fail")
    assert SECRET not in json.dumps(body)
    assert "database" in body["checks"]


def test_without_a_token_details_are_open_in_development_alone() -> None:
    for environment, debug, is_open in [
        (None, False, False),
        (None, True, True),
        ("development", False, True),
        ("production", True, False),
    ]:
        own = observer(log_setup=False, environment=environment)
        own.health.add("database", lambda: None)
        own.gateway.set_up(debug=debug)
        own.gateway.started()
        assert own.gateway.is_development is is_open
        assert ("checks" in probe(own)[1]) is is_open


def test_details_that_cannot_be_told_are_no_500() -> None:
    own = observer(environment="development", log_setup=False)
    own.health.add("a\ud800", lambda: None)
    own.gateway.set_up()
    assert ask(own, "ready").status == 503
    assert internal_errors(own, "endpoints") == 1
