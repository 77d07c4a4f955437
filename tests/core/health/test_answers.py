"""The probes: quick whatever the checks do, and silent to whoever may not know."""

from __future__ import annotations

import json

import pytest

from obs_middleware import Observer
from tests.core.health.probing import SECRET, TOKEN, Clock, ask, detail, fail, probe
from tests.core.support import internal_errors, observer


def test_live_passes_from_the_beginning_and_asks_no_check() -> None:
    own = observer()
    own.health.add("database", fail)
    assert probe(own, "live") == (200, {"status": "pass"})
    own.lifecycle.drain()
    assert probe(own, "live") == (200, {"status": "pass"})


def test_details_have_the_shape_of_health_json(own: Observer, clock: Clock) -> None:
    own.health.add("database", lambda: clock.go_on(0.25))
    found = detail(own)
    assert (found["status"], found["observedUnit"]) == ("pass", "ms")
    assert found["observedValue"] == 250
    assert found["time"].endswith("+00:00")


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
