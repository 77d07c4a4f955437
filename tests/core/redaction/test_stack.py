"""The stack of an exception, also of one that Python's own printer fails for."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from obs_middleware.redaction.stack import stack_of


def raised(text: str) -> Exception:
    try:
        raise LookupError(text)
    except LookupError as error:
        return error


def test_long_message_is_in_the_stack_by_its_begin_alone() -> None:
    stack = stack_of(raised("x" * 300), message="x" * 300, shown="xxx…")
    assert stack.endswith("LookupError: xxx…\n")


def fails(*_: Any, **__: Any) -> Any:
    raise AttributeError("odd details")


def test_exception_that_cannot_be_printed_has_its_frames_and_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traceback, "format_exception", fails)
    stack = stack_of(raised("short"), message="short", shown="short")
    assert stack.startswith("Traceback (most recent call last):\n")
    assert "in raised" in stack
    assert stack.endswith("LookupError: short\n")


def test_exception_whose_frames_cannot_be_printed_has_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traceback, "format_exception", fails)
    monkeypatch.setattr(traceback, "format_tb", fails)
    assert stack_of(raised("short"), message="short", shown="short") == "LookupError: short\n"
