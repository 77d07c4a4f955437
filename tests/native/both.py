"""The C functions and the Python functions behind them, so that both can be asked the same."""

from __future__ import annotations

import contextvars
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import obs_middleware.environ
import obs_middleware.logs.access_line
import obs_middleware.tracing.server_span  # noqa: F401  each marks its functions when it is imported
from obs_middleware import _speedups

needs_marked = pytest.mark.skipif(
    not _speedups.is_in_use(), reason="the C functions are not in use here, so that there is one way alone"
)


def needs_compiled(test: Any) -> Any:
    """Mark a test that compares both ways, which `make test-python` leaves out."""
    return pytest.mark.compiled(needs_marked(test))


def functions() -> Iterator[tuple[Any, str, Any]]:
    """Yield where each function with two ways is looked up, and the function."""
    for _, function in _speedups.functions:
        *path, name = function.__qualname__.split(".")
        owner = functools.reduce(getattr, path, importlib.import_module(function.__module__))
        yield owner, name, function


def take_python(patch: pytest.MonkeyPatch) -> None:
    """Let requests take the Python functions alone; Observers are to be made after this."""
    for owner, name, function in functions():
        patch.setattr(owner, name, getattr(function, "__wrapped__", function))


def both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what a call gives with the C functions and with the Python functions alone, each in an empty context."""
    compiled = contextvars.Context().run(call)
    with pytest.MonkeyPatch.context() as patch:
        take_python(patch)
        return compiled, contextvars.Context().run(call)


def said(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Return what a call returns, or the exception that it raises."""
    try:
        return call(*args, **named)
    except Exception as error:
        return type(error), str(error)
