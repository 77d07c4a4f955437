"""Which paths a pattern leaves out, and what is refused as none."""

from __future__ import annotations

import time

import pytest

from obs_middleware import ConfigError
from obs_middleware.exclusion import ExcludedPaths
from tests.core.metrics.scraping import active, counts
from tests.core.support import observer, request, serve


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/health", ["/health"], ["/health/", "/healthy", "/x/health", "/HEALTH", ""]),
        ("/internal/*", ["/internal/", "/internal/a/b"], ["/internal", "/x/internal/a"]),
        ("*.ico", ["/favicon.ico", "/a/b.ico", ".ico"], ["/favicon.ico/", "/ico"]),
        ("/a*b*c", ["/abc", "/aXbYc", "/abbcc", "/a/b/c"], ["/ac", "/ab", "/abcd", "/acb"]),
        ("/a*a", ["/aa", "/aba"], ["/a"]),
        ("*", ["", "/", "/\n"], []),
        ("/a.c", ["/a.c"], ["/abc"]),
        ("/[x]*", ["/[x]", "/[x]y"], ["/x"]),
    ],
)
def test_a_star_is_any_text_and_all_else_is_itself(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    excluded = ExcludedPaths([pattern])
    assert [path for path in inside if path not in excluded] == []
    assert [path for path in outside if path in excluded] == []


def test_no_path_makes_a_pattern_take_long() -> None:
    excluded = ExcludedPaths(["/" + "*a" * 30 + "*b"])
    began = time.perf_counter()
    assert "/" + "a" * 100_000 not in excluded
    assert time.perf_counter() - began < 30


@pytest.mark.parametrize("pattern", ["health", "/a?b", "/a#b", ""])
def test_pattern_that_can_match_no_path_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="exclude_paths must be paths in which"):
        observer(exclude_paths=[pattern])


def test_no_pattern_leaves_the_fast_way_as_it_is() -> None:
    assert "start" not in vars(observer().gateway)
    assert "start" in vars(observer(exclude_paths="/x").gateway)


def test_excluded_websocket_is_not_active() -> None:
    own = observer(access_log=False, exclude_paths="/feed")
    serve(own, request(path="/feed", scheme="ws"), status=101)
    serve(own, request(path="/feed"), status=500, error=ValueError())
    assert active(own, scheme="ws") is None
    assert counts(own) == {}


def test_failure_while_a_path_is_left_out_runs_the_app_without_us() -> None:
    own = observer(access_log=False, exclude_paths="/feed")

    def broken(_: str) -> str:
        raise RuntimeError

    info = request(path="/feed", headers={"x-request-id": "1"})
    own.gateway._callers_id = broken  # type: ignore[assignment]
    assert own.gateway.start(info) is None
