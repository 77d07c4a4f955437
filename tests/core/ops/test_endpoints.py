"""The paths that are ours: who may ask, how, and what is answered."""

from __future__ import annotations

import pytest

from tests.core.ops.asking import ask
from tests.core.support import observer

PATHS = ("/metrics", "/health/live", "/health/ready", "/health/startup")


ALIASES = ("/health", "/livez", "/readyz", "/startupz")


def test_paths_are_those_of_the_settings() -> None:
    assert observer().gateway.paths == {*PATHS, *ALIASES}
    assert observer(health_path=None).gateway.paths == frozenset(PATHS)
    own = observer(metrics_path="/internal/metrics", live_path="/livez", health_path="/status")
    assert own.gateway.paths == {
        "/internal/metrics", "/livez", "/health/ready", "/health/startup", "/readyz", "/startupz", "/status"
    }  # fmt: skip
    assert ask(own, "/internal/metrics").status == 200
    assert ask(own, "/livez").status == 200


def test_page_without_a_path_is_not_there() -> None:
    own = observer(metrics_path=None, live_path=None, health_path=None)
    assert own.gateway.paths == {"/health/ready", "/health/startup"}
    assert "/livez" not in observer(live_path=None).gateway.paths
    none = dict.fromkeys(("metrics_path", "live_path", "ready_path", "startup_path"))
    assert observer(**none).gateway.paths == frozenset()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "", "BREW"])
def test_other_methods_are_not_allowed(path: str, method: str) -> None:
    reply = ask(observer(), path, method)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get_is(path: str) -> None:
    own = observer(tracing_enabled=False)
    got, head = ask(own, path), ask(own, path, "HEAD")
    assert (head.status, head.headers) == (got.status, got.headers)
