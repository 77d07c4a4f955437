"""Checks are registered once, with arguments that make sense, and asked together."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer
from tests.core.health.probing import probe


def test_decorator_registers_the_function_and_returns_it(own: Observer) -> None:
    @own.health.check("database", critical=False)
    def database() -> bool:
        return False

    assert database() is False
    assert probe(own) == (200, {"status": "warn"})


@pytest.mark.hangs
def test_hung_checks_wait_together_and_not_one_after_another(
    own: Observer, hang: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obs_middleware.health.checks._WAIT_SECONDS", 0.5)
    for number in range(100):
        own.health.add(f"check {number}", hang.wait)
    began = time.monotonic()
    assert probe(own)[0] == 503
    assert time.monotonic() - began < 25  # one after another they would take 50 s


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
        ("database", print, {"every_seconds": -1}),
        ("database", print, {"every_seconds": float("nan")}),
        ("database", print, {"every_seconds": "1"}),
        ("database", print, {"component_type": object()}),
        ("database", print, {"critical": "no"}),
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


def test_decorator_without_a_name_is_an_error(own: Observer) -> None:
    wrong: Any = print
    with pytest.raises(ConfigError, match="must have a name"):
        own.health.check(wrong)
