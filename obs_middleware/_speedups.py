"""The C functions, where they could be built: each is a second way through a Python function, which says what it does.

`obs_middleware._native` is made of the C in `native/` when the package is built, if there is a C compiler. A function
marked `@fast("exchange.c: exchange_finish")` is called there first; what is not the common case goes to the Python
function. `OBS_PURE_PYTHON=1` in the environment turns them off.

Nothing is off in silence: `paths` tells which fast ways are taken, those that other modules guard included.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., object])
_C = TypeVar("_C", bound=type)

SWITCH = "OBS_PURE_PYTHON"
shared_classes: list[type] = []  # for scripts/native_layout.py
functions: list[tuple[str, Any]] = []  # the C file's name, and what `fast` has made of the function
_noted: dict[str, bool] = {}
problems: list[str] = []  # why C functions are off that nobody has turned off


def _module() -> Any:
    """Return the C functions; None where there are none, or where they are not wanted."""
    if os.environ.get(SWITCH, "") not in ("", "0"):
        return None
    try:
        return import_module("obs_middleware._native")
    except ImportError:  # not built here, or for the main interpreter alone
        return None


_native = _module()


def fast(where: str) -> Callable[[_F], _F]:
    """Name the C function that is tried first, as `file: function`."""

    def mark(function: _F) -> _F:
        way: Any = function
        if _native is not None:
            try:
                way = update_wrapper(_native.fast(where, function), function)
            except LookupError as error:  # a module that was compiled for another version
                problems.append(str(error))
        functions.append((where.partition(".")[0], way))
        return way  # type: ignore[no-any-return]

    return mark


def share_layout(cls: _C) -> _C:
    """Tell the C functions where a class keeps its fields; those that need it are off where it has other ones."""
    shared_classes.append(cls)
    if _native is not None:
        try:
            _native.share_layout(cls)
        except Exception as error:
            problems.append(str(error))
    return cls


def share(**constants: object) -> None:
    """Hand objects to the C functions that need them, by name."""
    if _native is not None:
        try:
            _native.share(**constants)
        except TypeError as error:
            problems.append(str(error))


def note(name: str, is_on: bool) -> None:
    """Note whether a fast way is taken that depends on what another library keeps private; one that is off stays so."""
    _noted[name] = is_on and _noted.get(name, True)


def is_built() -> bool:
    """Tell whether there is a compiled module that this process may use."""
    return _native is not None


def is_in_use() -> bool:
    """Tell whether requests take the C functions, all of them."""
    return _native is not None and all(getattr(way, "is_on", False) for _, way in functions)


def paths() -> dict[str, bool]:
    """Return each fast way and whether it is taken: the C files by name, and those of `note`."""
    found: dict[str, bool] = {}
    for name, way in functions:
        found[name] = found.get(name, True) and bool(getattr(way, "is_on", False))
    return {**found, **_noted}


def summary() -> str:
    """Return in one line which fast ways are taken, and why a C function is off that nobody has turned off."""
    ways = paths()
    on, off = (
        ", ".join(name for name in sorted(ways) if ways[name] is is_on) or "none" for is_on in (True, False)
    )
    return "; ".join([f"fast paths on: {on}", f"off: {off}", *problems])
