"""Groups, single checks, and the names under which the probes are answered too."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer
from tests.core.health.probing import BEARER, ask, fail, probe
from tests.core.support import observer


def test_group_is_answered_at_a_path_of_its_own(own: Observer) -> None:
    own.health.add("database", lambda: None)
    own.health.add("bucket", fail, groups=["storage"])
    own.health.add("disk", lambda: None, groups=("ready", "storage"))
    assert probe(own) == (200, {"status": "pass"})
    assert probe(own, "storage") == (503, {"status": "fail"})
    assert set(probe(own, "storage", **BEARER)[1]["checks"]) == {"bucket", "disk"}
    assert set(probe(own, **BEARER)[1]["checks"]) == {"database", "disk"}


def test_group_tells_of_its_checks_alone(own: Observer) -> None:
    own.health.add("disk", lambda: None, groups="storage")
    own.lifecycle.drain()
    assert probe(own, "storage") == (200, {"status": "pass"})
    assert probe(own)[0] == 503


def test_single_check_is_answered_below_its_groups(own: Observer) -> None:
    own.health.add("database", fail)
    own.health.add("cache", fail, critical=False)
    own.health.add("disk/var", lambda: None, groups=("storage",))
    assert probe(own, "ready/database") == (503, {"status": "fail"})
    assert probe(own, "ready/cache") == (200, {"status": "warn"})
    assert probe(own, "storage/disk/var") == (200, {"status": "pass"})
    (found,) = probe(own, "ready/cache", **BEARER)[1]["checks"]["cache"]
    assert found["output"].startswith("ConnectionError")


@pytest.mark.parametrize("name", ["ready/queue", "ready/disk", "storage/queue", "ready/database/x"])
def test_unknown_check_is_not_found(own: Observer, name: str) -> None:
    own.health.add("database", lambda: None)
    own.health.add("disk", lambda: None, groups=("storage",))
    assert own.gateway.has_page(f"/health/{name}")
    assert probe(own, name) == (404, {"status": "fail", "output": "there is no such check"})


@pytest.mark.parametrize("name", ["storage", "storage/disk", "ready/", "live/disk", "", "readyx"])
def test_what_names_no_group_is_left_to_the_app(own: Observer, name: str) -> None:
    own.health.add("database", lambda: None)
    assert not own.gateway.has_page(f"/health/{name}")
    assert ask(own, name).status == 404


def test_without_a_ready_path_its_checks_have_no_pages_but_those_of_other_groups() -> None:
    own = observer(ready_path=None)
    own.health.add("database", lambda: None, groups=("ready", "storage"))
    assert not own.gateway.has_page("/health/ready/database")
    assert own.gateway.has_page("/health/storage/database")
    assert not own.gateway.has_page("/health")


def test_without_a_check_what_is_below_readiness_is_the_apps(own: Observer) -> None:
    assert not own.gateway.has_page("/health/ready/database")
    own.health.add("disk", lambda: None)
    assert own.gateway.has_page("/health/ready/database")


def test_pages_move_with_their_setting() -> None:
    own = observer(health_path="/status/app")
    own.health.add("database", lambda: None, groups=("ready", "storage"))
    own.gateway.started()
    for path in ("/status/app", "/status/app/storage", "/status/app/ready/database", "/health/ready"):
        assert own.gateway.has_page(path)
    assert not own.gateway.has_page("/health")
    assert not own.gateway.has_page("/health/storage")


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_health_path_there_are_the_three_probes_alone(path: str | None) -> None:
    from obs_middleware import Settings

    settings = Settings.load(env={"OBS_HEALTH_PATH": path} if path == "" else {}, **_keywords(path))
    own = Observer(settings)
    own.health.add("database", lambda: None, groups=("ready", "storage"))
    for one in ("/health", "/livez", "/health/storage", "/health/ready/database"):
        assert not own.gateway.has_page(one)
    assert own.gateway.has_page("/health/ready")


def _keywords(path: str | None) -> dict[str, Any]:
    return {"health_path": None} if path is None else {}


@pytest.mark.parametrize(
    ("alias", "status"), [("/livez", 200), ("/readyz", 503), ("/startupz", 200), ("/health", 503)]
)
def test_probes_have_other_names_too(own: Observer, alias: str, status: int) -> None:
    own.health.add("database", fail)
    reply = own.gateway.reply(_request(alias), alias)
    assert (reply.status, json.loads(reply.body)["status"]) == (status, "pass" if status == 200 else "fail")


def test_other_names_are_left_to_an_app_that_has_them() -> None:
    own = observer()
    own.gateway.look_for_pages(lambda path: path in ("/health", "/readyz"))
    assert own.gateway.has_page("/health")
    own.gateway.started()
    assert [own.gateway.has_page(path) for path in ("/health", "/livez", "/readyz")] == [False, True, False]
    assert own.gateway.has_page("/health/ready")


@pytest.mark.parametrize(
    "groups", [(), ("",), ("a b",), ("a/b",), (7,), ("live",), ("startup",), ("drain",), ("ready", "-x")]
)
def test_bad_group_is_told_at_once(own: Observer, groups: Any) -> None:
    with pytest.raises(ConfigError, match=r"check 'database': .*group"):
        own.health.add("database", print, groups=groups)


@pytest.mark.parametrize("name", ["failures_to_fail", "passes_to_heal"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_bad_count_is_told_at_once(own: Observer, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        own.health.add("database", print, **{name: value})


def test_draining_says_when_to_come_again(own: Observer) -> None:
    assert "Retry-After" not in ask(own, "ready").headers
    own.lifecycle.drain()
    assert int(ask(own, "ready").headers["Retry-After"]) > 0
    assert "Retry-After" not in ask(own, "live").headers
    assert probe(own, **BEARER)[1]["notes"] == ["the app is about to stop"]


@pytest.mark.hangs
def test_answer_takes_a_thread_only_where_it_has_to_wait(own: Observer, hang: threading.Event) -> None:
    assert own.gateway.threads("/health/live") is None
    assert own.gateway.threads("/health/ready") is None
    own.health.add("database", hang.wait)
    for path in ("/health/ready", "/readyz", "/health/ready/database"):
        assert own.gateway.threads(path) is not None
    ask(own, "ready")
    for path in ("/health/ready", "/readyz", "/health/ready/database"):
        assert own.gateway.threads(path) is None


def _request(path: str) -> Any:
    from tests.core.support import request

    return request(path=path)
