"""What runs around a fork, and when a process ends by itself."""

from __future__ import annotations

import os

import pytest

from tests.core.support import python

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
# Python 3.12 and later warn of any fork in a process with threads.
FORKS = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}


# Hooks

HOOKS = """
import os
from obs_middleware import process
def says(word):
    return lambda: os.write(1, f"{word} ".encode())
for name in ("one", "two"):
    process.on_fork(before=says(f"before-{name}"))
    process.on_fork(in_parent=says(f"parent-{name}"), in_child=says(f"child-{name}"))
    process.on_exit(says(f"exit-{name}"))
"""


@needs_fork
def test_hooks_around_a_fork_run_in_the_order_of_their_registration() -> None:
    fork = "child = os.fork()\nos.waitpid(child, 0) if child else os._exit(0)"
    words = python(HOOKS + fork).split()
    assert words[:2] == ["before-one", "before-two"]
    assert [word for word in words if word.startswith("parent")] == ["parent-one", "parent-two"]
    assert [word for word in words if word.startswith("child")] == ["child-one", "child-two"]


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)"])
def test_hooks_at_the_end_run_once_in_the_order_of_their_registration(end: str) -> None:
    assert python(HOOKS + end).split() == ["exit-one", "exit-two"]


@needs_fork
@pytest.mark.parametrize(
    ("child", "ends"),
    [
        ("os._exit(0)", 1),  # runs no handler at all
        ("raise SystemExit(0)", 2),
    ],
)
def test_forked_child_runs_the_hooks_at_its_end_where_it_runs_handlers(child: str, ends: int) -> None:
    code = f"""
pid = os.fork()
if not pid:
    {child}
os.waitpid(pid, 0)
"""
    assert python(HOOKS + code).split().count("exit-one") == ends


@needs_fork
@pytest.mark.parametrize("generations", [1, 2])
def test_child_of_multiprocessing_runs_the_hooks_at_its_end(generations: int) -> None:
    code = f"""
import multiprocessing
def child(left):
    if left:
        process = multiprocessing.get_context("fork").Process(target=child, args=(left - 1,))
        process.start()
        process.join()
child({generations})
"""
    assert python(HOOKS + code).split().count("exit-one") == generations + 1


# As servers written in C do, which know nothing of Python's hooks.
SILENT = """
import ctypes, os
from obs_middleware import process
before = process.pid()
child = ctypes.PyDLL(None).fork()
if not child:
    os._exit(0 if process.pid() not in (before, 0) else 1)
assert process.pid() == before == os.getpid()
assert os.waitpid(child, 0)[1] == 0
"""


@needs_fork
def test_pid_is_right_after_a_fork_that_calls_no_hook() -> None:
    python(SILENT)


# What waits

END = """
import sys
from obs_middleware import Observer, RequestInfo
own = Observer()
own.gateway.set_up()
for _ in range(3):
    exchange = own.gateway.start(RequestInfo("GET", "/last", "", "http", {}.get))
    exchange.status = 200
    exchange.finish()
"""


def test_lines_that_wait_at_the_end_of_the_process_are_written() -> None:
    assert python(END).count('"GET /last 200"') == 3


FORK = (
    END
    + """
import os, time
child = os.fork()
exchange = own.gateway.start(RequestInfo("GET", f"/{'parent' if child else 'child'}", "", "http", {}.get))
exchange.status = 200
exchange.finish()
if child:
    os.waitpid(child, 0)
else:
    time.sleep(1)  # its own thread writes: no exit handler runs after this
    os._exit(0)
"""
)


@needs_fork
def test_forked_child_writes_its_own_lines_and_none_of_its_parents() -> None:
    written = python(FORK, env=FORKS)
    assert [written.count(f'"GET /{path} 200"') for path in ("last", "parent", "child")] == [3, 1, 1]


CHILD = """
import multiprocessing, os
from obs_middleware import Observer, RequestInfo
own = Observer()
own.gateway.set_up()
def serve(path):
    exchange = own.gateway.start(RequestInfo("GET", path, "", "http", {}.get))
    exchange.status = 200
    exchange.finish()
def work():
    serve("/child")
    assert own.registry.get_sample_value(
        "http_server_active_requests", {"http_request_method": "GET", "url_scheme": "http"}) == 0
    serve("/child")
serve("/parent")
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
assert child.exitcode == 0
"""


@needs_fork
def test_lines_that_wait_at_the_end_of_a_forked_process_are_written() -> None:
    written = python(CHILD, env=FORKS)
    assert [written.count(f'"GET /{path} 200"') for path in ("parent", "child")] == [1, 2]
