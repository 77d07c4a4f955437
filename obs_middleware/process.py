"""Every hook on the interpreter: what runs before a fork, after it in the parent and in the child, and at the end.

Modules register here and nowhere else, so that one place runs them all. They run in the order in which
the modules were imported.

A server written in C may fork and tell Python nothing (uWSGI without `--py-call-osafterfork`). So there is a page of
memory that the kernel wipes in each child, whatever has forked it. A look at it costs next to nothing, where asking for
the process's ID is a system call. Where the kernel can't wipe, the ID is asked for.
"""

from __future__ import annotations

import atexit
import mmap
import os
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock
from types import FrameType, ModuleType

Hook = Callable[[], object]

_before_fork: list[Hook] = []
_after_fork_in_parent: list[Hook] = []
_after_fork_in_child: list[Hook] = []
_after_unseen_fork: list[Hook] = []
_at_exit: list[Hook] = []
_at_child_end: list[Hook] = []


# An app that imports one of the first may also be served by one of the second.
_LAMBDA_ADAPTERS = {"apig_wsgi", "awsgi", "mangum", "serverless_wsgi"}
_SERVERS = {"daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress"}
_MADV_WIPEONFORK = 18  # madvise(2), Linux 4.14 and later; `mmap` has no name for it
_locks: dict[int, Lock] = {}  # by process, so that no child meets a lock that its parent holds
_noticed = [os.getpid()]  # the process whose hooks have run
_serves_one_request: list[int] = []  # the process, where a server forks one for each request


def _wiped_page() -> memoryview | None:
    """Return a byte that is 1 here and 0 in a child; None where the kernel has no such memory."""
    if not sys.platform.startswith("linux"):
        return None
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        page.madvise(_MADV_WIPEONFORK)
    except OSError:
        return None
    page[0] = 1
    return memoryview(page)[:1]


_page = _wiped_page()
has_mark = _page is not None or not hasattr(os, "fork")  # whether a look at `mark` is enough
mark = (
    memoryview(b"\1") if _page is None else _page
)  # its byte is 0 in a child that has not noticed its fork yet


def on_fork(
    *,
    before: Hook | None = None,
    in_parent: Hook | None = None,
    in_child: Hook | None = None,
    in_unseen_child: Hook | None = None,
) -> None:
    """Register what is called around a fork; hooks run in the order in which they were registered.

    Args:
        in_unseen_child: is called after the hooks `in_child`, where Python's own hooks have not run.
    """
    for hooks, hook in (
        (_before_fork, before),
        (_after_fork_in_parent, in_parent),
        (_after_fork_in_child, in_child),
        (_after_unseen_fork, in_unseen_child),
    ):
        if hook is not None:
            hooks.append(hook)


def pid() -> int:
    """Return the process's ID, asked of the system each time: a server written in C may fork and call no hook."""
    return os.getpid()


def notice_fork() -> None:
    """Run the hooks of a child, once, where the process was forked and nobody has told Python."""
    here = os.getpid()
    if here == _noticed[0] and mark[0]:
        return
    with _locks.setdefault(here, Lock()):
        if here != _noticed[0] or not mark[0]:
            _run_in_child()
            for hook in _after_unseen_fork:
                hook()


def stands_still_between_requests() -> bool:
    """Tell whether no thread of ours runs on when a request has ended.

    AWS Lambda freezes the process (Lambda developer guide, "Understanding the Lambda execution environment lifecycle").
    uWSGI keeps Python's lock while it waits for a request, unless it was told of threads (`enable-threads`, `threads`).
    A server that forks for each request ends the child by `os._exit`.
    """
    if os.getpid() in _serves_one_request:
        return True
    modules = sys.modules.keys()
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ or (_LAMBDA_ADAPTERS & modules and not _SERVERS & modules):
        return True
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    return isinstance(options, dict) and not {"enable-threads", "threads", "gevent"} & options.keys()


def on_exit(hook: Hook) -> None:
    """Register what is called when the process ends by itself, also in the children of multiprocessing."""
    _at_exit.append(hook)


def on_child_end(hook: Hook) -> None:
    """Register what is called before a child of multiprocessing ends, which calls no exit handler of others."""
    _at_child_end.append(hook)


def _run_before_fork() -> None:
    for hook in _before_fork:
        hook()


def _run_in_parent() -> None:
    for hook in _after_fork_in_parent:
        hook()


def _run_in_child() -> None:
    if _is_forked_for_one_request():
        _serves_one_request[:] = [os.getpid()]
    for hook in _after_fork_in_child:
        hook()
    _noticed[0] = os.getpid()
    if _page is not None:
        _page[0] = 1
    # The children of multiprocessing end without exit handlers, and forget what was registered before the fork.
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        _register_with(multiprocessing)


def _is_forked_for_one_request() -> bool:
    """Tell whether a server of `socketserver`, such as Werkzeug's with processes, has called the fork of now."""
    forking = getattr(sys.modules.get("socketserver"), "ForkingMixIn", None)
    if forking is None:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not forking.process_request.__code__:
        frame = frame.f_back
    return frame is not None


@cache  # a child inherits what its parent has registered
def _register_with(multiprocessing: ModuleType) -> None:
    multiprocessing.register_after_fork(_run_in_child, _register_finalizer)


def _register_finalizer(_: object) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _run_at_child_end, exitpriority=100)


def _register_in_child() -> None:
    """Register where multiprocessing has forked this process before it has imported this module."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        import multiprocessing.util  # pyright: ignore[reportUnusedImport]

        _register_finalizer(None)


def _run_at_child_end() -> None:
    _run_at_exit()
    for hook in _at_child_end:
        hook()


def _run_at_exit() -> None:
    for hook in _at_exit:
        hook()


atexit.register(_run_at_exit)
_register_in_child()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_run_before_fork, after_in_parent=_run_in_parent, after_in_child=_run_in_child)
