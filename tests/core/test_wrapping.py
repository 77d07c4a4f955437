"""A function around another has its signature, with types that are resolved where they were written."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import pytest

from obs_middleware import add_labels, leave_out
from obs_middleware.wrapping import wrap
from tests.core.support import observer


class Mine:
    """What a user's module alone has."""


def view(item: Mine, number: int = 1) -> list[Mine]:
    """Show it."""
    return [item] * number


def unresolvable(item: Later) -> None:  # type: ignore[name-defined] # noqa: F821
    pass


def foreign(*args: object, **keywords: object) -> object:
    return (args, keywords)


def test_signature_has_the_types_of_the_users_module() -> None:
    signature = inspect.signature(wrap(view, foreign))
    assert [parameter.annotation for parameter in signature.parameters.values()] == [Mine, int]
    assert signature.parameters["number"].default == 1
    assert signature.return_annotation == list[Mine]


def test_name_and_documentation_stay() -> None:
    wrapped = wrap(view, lambda *args: None)
    assert isinstance(wrapped, types.FunctionType)
    assert (wrapped.__name__, wrapped.__doc__) == ("view", "Show it.")


def test_types_that_can_not_be_resolved_stay_as_they_are() -> None:
    (parameter,) = inspect.signature(wrap(unresolvable, lambda *args: None)).parameters.values()
    assert parameter.annotation == "Later"


@pytest.mark.parametrize("decorator", ["leave_out", "add_labels", "timed"])
def test_every_decorator_of_ours_keeps_the_types(decorator: str) -> None:
    decorators: dict[str, Callable[[Any], Any]] = {
        "leave_out": leave_out,
        "add_labels": add_labels(team="checkout"),
        "timed": observer().metrics.timed("charge", "How long."),
    }
    signature = inspect.signature(decorators[decorator](view), follow_wrapped=False)
    assert signature.return_annotation == list[Mine]
