"""The C functions, where they could be built: each is a second way through a Python function, which says what it does.

`obs_middleware._native` is made of the C in `native/` when the package is built, if there is a C compiler. A function
marked `@fast("exchange.c: exchange_finish")` is called there first; what is not the common case goes to the Python
function. `OBS_PURE_PYTHON=1` in the environment turns them off.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

_F = TypeVar("_F", bound=Callable[..., object])
_C = TypeVar("_C", bound=type)

SWITCH = "OBS_PURE_PYTHON"
_is_wanted = os.environ.get(SWITCH, "") in ("", "0")


def fast(where: str) -> Callable[[_F], _F]:
    """Name the C function that is tried first, as `file: function`."""
    return lambda function: function


def share_layout(cls: _C) -> _C:
    """Tell the C functions where a class keeps its fields."""
    return cls


def is_built() -> bool:
    """Tell whether there is a compiled module."""
    return False


def is_in_use() -> bool:
    """Tell whether requests take the C functions."""
    return False
