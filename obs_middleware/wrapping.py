"""Put a function around a user's function, so that frameworks find the user's signature."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def wrap(function: Callable[..., Any], around: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the name, the documentation and the signature of the one that it is put around.

    Types that are text are resolved where they were written. Older releases of FastAPI look for their names in the
    module of the function that they get, which is ours. What can't be resolved yet stays as it is.
    """
    wrapped = functools.wraps(function)(around)
    with suppress(Exception):
        wrapped.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return wrapped
