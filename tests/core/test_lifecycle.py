"""A service starts, serves, drains and may start again; the probes tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from obs_middleware import Observer
from tests.core.health.probing import TOKEN, probe
from tests.core.support import observer


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
