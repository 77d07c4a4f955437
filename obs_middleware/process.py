"""Every hook on the interpreter: what runs before a fork, after it in the parent and in the child, and at the end.

Modules register here and nowhere else, so that one place runs them all. They run in the order in which
the modules were imported.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType

Hook = Callable[[], object]

_before_fork: list[Hook] = []
_after_fork_in_parent: list[Hook] = []
_after_fork_in_child: list[Hook] = []
_at_exit: list[Hook] = []


def on_fork(
    *, before: Hook | None = None, in_parent: Hook | None = None, in_child: Hook | None = None
) -> None:
    """Register what is called around a fork; hooks run in the order in which they were registered."""
    for hooks, hook in (
        (_before_fork, before),
        (_after_fork_in_parent, in_parent),
        (_after_fork_in_child, in_child),
    ):
        if hook is not None:
            hooks.append(hook)


def pid() -> int:
    """Return the process's ID, asked of the system each time: a server written in C may fork and call no hook."""
    return os.getpid()


def on_exit(hook: Hook) -> None:
    """Register what is called when the process ends by itself, also in the children of multiprocessing."""
    _at_exit.append(hook)


def _run_before_fork() -> None:
    for hook in _before_fork:
        hook()


def _run_in_parent() -> None:
    for hook in _after_fork_in_parent:
        hook()


def _run_in_child() -> None:
    for hook in _after_fork_in_child:
        hook()
    # The children of multiprocessing end without exit handlers, and forget what was registered before the fork.
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        _register_with(multiprocessing)


@cache  # a child inherits what its parent has registered
def _register_with(multiprocessing: ModuleType) -> None:
    multiprocessing.register_after_fork(_run_in_child, _register_finalizer)


def _register_finalizer(_: object) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _run_at_exit, exitpriority=100)


def _run_at_exit() -> None:
    for hook in _at_exit:
        hook()


atexit.register(_run_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_run_before_fork, after_in_parent=_run_in_parent, after_in_child=_run_in_child)
