"""What runs around a fork, and when a process ends by itself."""

from __future__ import annotations

import json
import os

import pytest

from tests.core.support import forks_among_threads, python

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


# Python is not told of the fork. So its GIL hangs in the child where a thread of the parent waits for it: some moments
# before, all threads have come to where they sleep. A process that is stopped meanwhile loses one of those moments.
FORKS_UNSEEN = """
import ctypes, os, sys, time
from obs_middleware import Observer, RequestInfo, process, queue
queue._DELAY_SECONDS = 600.0  # so long our thread sleeps when a record has come
def fork():
    sys.stdout.flush()
    for _ in range(10):
        time.sleep(0.01)
    return ctypes.PyDLL(None).fork()
def serve(path):
    exchange = own.gateway.start(RequestInfo("GET", path, "", "http", {}.get))
    exchange.status = 200
    exchange.finish()
    return exchange
def wait_for_thread():
    while own.gateway._queue.has_waiting:
        time.sleep(0.01)
    queue.flush(timeout_seconds=60)  # it has taken all, and may still be at it
"""
SERVED = "own = Observer(); own.gateway.set_up()"


@needs_fork
@forks_among_threads
@pytest.mark.parametrize("delay_seconds", [600, 0.01], ids=["the thread at work", "the thread asleep"])
@pytest.mark.parametrize("is_pure", ["0", "1"], ids=["C", "Python"])
def test_child_of_an_unseen_fork_has_ids_of_its_own_and_writes_its_lines(
    delay_seconds: float, is_pure: str
) -> None:
    code = f"""
{FORKS_UNSEEN}
{SERVED}
queue._DELAY_SECONDS = {delay_seconds}
serve("/parent")
if {delay_seconds} < 1:
    wait_for_thread()
    while not queue._flusher.worker.is_asleep: time.sleep(0.01)
children = []
for _ in range(3):
    children.append(fork())
    if not children[-1]:
        break
queue._DELAY_SECONDS = 0.01
for _ in range(20):
    serve("/child")
if children[-1]:
    for child in children:
        os.waitpid(child, 0)
else:
    wait_for_thread()
    os._exit(0)
"""
    lines = [json.loads(line) for line in python(code, env={"OBS_PURE_PYTHON": is_pure}).splitlines()]
    assert [line["path"] for line in lines].count("/parent") == 1
    assert len(lines) == 81
    for name in ("request_id", "trace_id", "span_id"):
        assert len({line[name] for line in lines}) == 81
    assert len({line["request_id"][24:] for line in lines}) == 81


@needs_fork
def test_ids_differ_after_an_unseen_fork_where_the_kernel_wipes_no_memory() -> None:
    code = f"""
import mmap
class Refusing(mmap.mmap):
    def madvise(self, advice):
        raise OSError(22, "Invalid argument")
mmap.mmap = Refusing
{FORKS_UNSEEN}
{SERVED}
assert not process.has_mark
serve("/parent")
fork()
serve("/")
"""
    lines = [json.loads(line) for line in python(code).splitlines()]
    assert len({line["trace_id"] for line in lines}) == 3


@needs_fork
def test_hooks_of_a_child_run_once_whoever_notices_an_unseen_fork() -> None:
    code = f"""
import threading
{HOOKS}
{FORKS_UNSEEN}
process.on_fork(in_unseen_child=says("unseen"))
child = fork()
threads = [threading.Thread(target=process.notice_fork) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
os.waitpid(child, 0) if child else os._exit(0)
"""
    words = python(code).split()
    assert [word for word in words if "child" in word or "unseen" in word] == [
        "child-one",
        "child-two",
        "unseen",
    ]


@needs_fork
def test_child_of_an_unseen_fork_writes_though_a_thread_of_its_parent_was_writing() -> None:
    code = f"""
import logging
{FORKS_UNSEEN}
{SERVED}
logging.root.handlers[0].acquire()
if fork():
    os.wait()
else:
    serve("/child")
    logging.getLogger("app").warning("still here")
    os._exit(0)
"""
    assert [line.count("still here") for line in python(code).splitlines()] == [0, 1]


@needs_fork
def test_page_of_a_child_of_an_unseen_fork_is_answered() -> None:
    code = f"""
{FORKS_UNSEEN}
{SERVED}
from obs_middleware.queue import _flusher
own.gateway.started()
_flusher.lock.take(None, timeout_seconds=0)  # as a flush under way does
child = fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    replies = [own.gateway.reply(RequestInfo("GET", path, "", "http", {{}}.get), path).status
               for path in sorted(own.gateway.paths)]
    os._exit(replies != [200] * 8 or _flusher.lock.is_held)
"""
    python(code)


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
from obs_middleware.queue import flush
child = os.fork()
exchange = own.gateway.start(RequestInfo("GET", f"/{'parent' if child else 'child'}", "", "http", {}.get))
exchange.status = 200
exchange.finish()
if child:
    os.waitpid(child, 0)
else:
    while own.gateway._queue.has_waiting: time.sleep(0.01)  # its own thread writes: no exit handler runs after this
    flush(timeout_seconds=60)  # it may still be at it
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


IN_A_REQUEST = """
import os, sys
from obs_middleware import Observer, RequestInfo, current_exchange
own = Observer()
own.gateway.set_up()
exchange = own.gateway.start(RequestInfo("GET", "/forks", "", "http", {}.get))
with exchange:
    child = os.fork()
    request_id = current_exchange().request_id
assert request_id == exchange.request_id
exchange.status = 200
if child:
    assert os.waitpid(child, 0)[1] == 0
exchange.finish()
assert own.registry.get_sample_value(
    "http_server_active_requests", {"http_request_method": "GET", "url_scheme": "http"}) == 0
if not child:
    other = own.gateway.start(RequestInfo("GET", "/child", "", "http", {}.get))
    other.status = 200
    other.finish()
    own.close()
"""


@needs_fork
def test_request_in_which_a_child_was_forked_is_its_parents() -> None:
    """A child that leaves by `sys.exit` comes past us on its way; the client gets one response."""
    written = python(IN_A_REQUEST, env=FORKS)
    assert [written.count(f'"GET /{path} 200"') for path in ("forks", "child")] == [1, 1]


# A process that stands still

STANDS_STILL = """
import os, sys, time
from types import SimpleNamespace
from obs_middleware import Observer, RequestInfo
sleep = time.sleep
time.sleep = lambda _: sleep(60)  # however slow the machine is, the thread that would write the line comes too late
uwsgi = os.environ.get("UWSGI_OPTIONS")
if uwsgi is not None:
    sys.modules["uwsgi"] = SimpleNamespace(opt=dict.fromkeys(uwsgi.split(), True))
sys.modules.update(dict.fromkeys(os.environ.get("IMPORTED", "").split()))
own = Observer()
own.gateway.set_up()
sys.modules.update(dict.fromkeys(os.environ.get("IMPORTED_LATER", "").split()))
own.gateway.started()
exchange = own.gateway.start(RequestInfo("GET", "/last", "", "http", {}.get))
exchange.status = 200
exchange.finish()
os._exit(0)  # no thread and no handler runs any more
"""


@pytest.mark.parametrize(
    ("env", "lines"),
    [
        ({}, 0),
        ({"OBS_FLUSH_EACH_REQUEST": "true"}, 1),
        ({"AWS_LAMBDA_FUNCTION_NAME": "orders"}, 1),
        ({"AWS_LAMBDA_FUNCTION_NAME": "orders", "OBS_FLUSH_EACH_REQUEST": "false"}, 0),
        ({"IMPORTED": "mangum"}, 1),
        ({"IMPORTED": "mangum uvicorn"}, 0),
        ({"IMPORTED_LATER": "serverless_wsgi"}, 1),
        ({"UWSGI_OPTIONS": "master processes"}, 1),
        ({"UWSGI_OPTIONS": "master threads"}, 0),
        ({"UWSGI_OPTIONS": "enable-threads"}, 0),
        ({"UWSGI_OPTIONS": "gevent"}, 0),
    ],
)
def test_line_is_out_when_the_request_has_ended_where_no_thread_would_write_it(
    env: dict[str, str], lines: int
) -> None:
    assert python(STANDS_STILL, env=env).count('"GET /last 200"') == lines


FOR_EACH_REQUEST = """
import threading, urllib.request
from socketserver import ForkingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from obs_wsgi import ObservabilityMiddleware

class Server(ForkingMixIn, WSGIServer):
    pass

class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

with make_server("127.0.0.1", 0, ObservabilityMiddleware(app), Server, Handler) as server:
    threading.Thread(target=server.serve_forever).start()
    for _ in range(3):
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/last").read()
    server.shutdown()
"""


@needs_fork
def test_line_is_out_where_a_server_forks_for_each_request() -> None:
    """The child ends by `os._exit`, as those of Werkzeug's server with processes do."""
    assert python(FOR_EACH_REQUEST, env=FORKS).count('"GET /last 200"') == 3


@needs_fork
@pytest.mark.once
def test_a_child_of_multiprocessing_that_imports_us_writes_its_last_lines_and_sends_its_last_spans() -> None:
    """Such a child ends without exit handlers, the SDK's own among them; granian's workers are some."""
    code = f"""
import multiprocessing
def work():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: "span " + span.name)))
    {END.replace("Observer()", "Observer(tracer_provider=provider)").strip().replace(chr(10), chr(10) + "    ")}
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
"""
    printed = python(code)
    assert printed.count('"GET /last 200"') == 3
    assert printed.count("span GET") == 3
