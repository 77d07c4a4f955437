"""The records of finished exchanges wait a moment, and nobody can tell: no page, no reader of the log, no child."""

from __future__ import annotations

import gc
import io
import logging
import logging.config
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Observer, RequestRecord, current_exchange, flush_lock, queue
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.logs.outputs import LineHandler, sole_handler
from obs_middleware.queue import Flusher, RecordQueue, flush
from tests.core.support import (
    ROOT,
    internal_errors,
    observer,
    python,
    request,
    serve,
    started,
    strict_json,
)

COUNT = "http_server_request_duration_seconds_count"
LABELS = {
    "http_request_method": "GET",
    "http_route": "/a",
    "http_response_status_code": "200",
    "error_type": "",
}


class Output:
    """Our handler as the root logger's only one, and what it has written."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        self.handler = LineHandler(io.TextIOWrapper(self.bytes, encoding="utf-8"))
        self.handler.setFormatter(JsonFormatter())

    def lines(self) -> list[dict[str, Any]]:
        return [strict_json(line) for line in self.bytes.getvalue().decode().splitlines()]

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines()]

    def wait_for(self, count: int) -> list[str]:
        deadline = time.monotonic() + 10
        while len(self.lines()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.messages()


class WithoutPytest(list[logging.Handler]):
    """The root logger's handlers, which pytest's own join for each test; here they would change what is tested."""

    def append(self, handler: logging.Handler) -> None:
        if not type(handler).__module__.startswith("_pytest"):
            super().append(handler)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    own, root = Output(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", WithoutPytest([own.handler]))
    monkeypatch.setattr(root, "level", logging.INFO)
    logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]
    yield own
    logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]


def measured(own: Observer) -> float:
    return own.registry.get_sample_value(COUNT, LABELS) or 0.0


# Waiting


def test_line_comes_soon_though_nobody_follows(output: Output) -> None:
    serve(observer(), route="/a")
    assert output.wait_for(1) == ["GET /items/7 200"]


class Clock:
    """A stand-in for `time` in one thread, whose sleeping takes none; others keep the real one."""

    def __init__(self, flushes: list[float], flusher: Flusher) -> None:
        self.now = 100.0
        self._flushes = flushes  # when others flush
        self._flusher = flusher
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        return threading.get_ident() == self._thread

    def monotonic(self) -> float:
        return self.now if self.is_here() else time.monotonic()

    def sleep(self, seconds: float) -> None:
        if not self.is_here():
            time.sleep(seconds)
            return
        self.now += seconds
        while self._flushes and self._flushes[0] <= self.now:
            self._flusher.flushed = self._flushes.pop(0)


@pytest.mark.parametrize(
    ("others", "ends"),
    [([], 100.05), ([100.03], 100.08), ([100.01, 100.02, 100.06, 100.10], 100.15), ([99.9], 100.05)],
)
def test_what_waits_is_flushed_when_it_may_have_waited_for_50_ms(
    others: list[float], ends: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before: whatever others have flushed meanwhile, the rest has come since."""
    real_flush, flusher = flush, Flusher()
    clock, moments = Clock(others, flusher), list[float]()

    def noted(**timeout: float) -> bool:
        if not clock.is_here():  # the process's own thread goes on meanwhile
            return real_flush(**timeout)
        moments.append(clock.now)
        return False

    monkeypatch.setattr(queue, "time", clock)
    monkeypatch.setattr(queue, "flush", noted)
    assert not flusher._flush_when_due()
    assert moments == [pytest.approx(ends)]


def test_lines_of_many_are_written_at_once_and_all_of_them(output: Output) -> None:
    own = observer()
    for _ in range(500):
        serve(own, route="/a")
    own.close()
    assert output.messages() == ["GET /items/7 200"] * 500
    assert measured(own) == 500


def test_line_tells_the_moment_its_exchange_ended(output: Output) -> None:
    own = observer()
    before = time.time()
    serve(own)
    after = time.time()
    time.sleep(0.2)
    own.close()
    (line,) = output.lines()
    moment = line["timestamp"]
    assert stamp_of(before - 0.002) <= moment <= stamp_of(after + 0.002)


def stamp_of(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def test_whoever_looks_at_the_metrics_sees_all_that_is_finished(output: Output) -> None:
    own = observer()
    for count in range(1, 80):
        serve(own, route="/a")
        assert measured(own) == count


class Records:
    """A queue with a sink that keeps the records, and what its failures were."""

    def __init__(self, sink: Callable[[Iterator[RequestRecord]], None] | None = None, sinks: int = 1) -> None:
        self.records: list[RequestRecord] = []
        self.discarded: list[RequestRecord] = []
        self.failures: list[tuple[str, Exception]] = []
        sink = sink or self.records.extend
        self.queue = RecordQueue(
            [(f"sink {number}", sink) for number in range(sinks)],
            self.discarded.append,
            lambda component, error: self.failures.append((component, error)),
        )

    def add(self, count: int = 1) -> None:
        exchange = started(observer(access_log=False))
        exchange.status = 200
        exchange.finish()
        for _ in range(count):
            self.queue.add(exchange.record())


def test_whoever_looks_waits_for_the_batch_that_another_thread_is_at() -> None:
    is_at_it = threading.Event()

    def slow(records: Iterator[RequestRecord]) -> None:
        is_at_it.set()
        time.sleep(0.2)
        kept.records.extend(records)

    kept = Records(slow)
    kept.add()
    assert is_at_it.wait(10)  # in our own thread
    flush()
    assert len(kept.records) == 1


def test_every_sink_gets_every_record_once_and_in_order() -> None:
    kept = Records(sinks=2)
    kept.add(3)
    flush()
    assert len(kept.records) == 6


def test_sink_that_fails_for_one_record_gets_those_after_it() -> None:
    taken: list[RequestRecord] = []

    def failing(records: Iterator[RequestRecord]) -> None:
        for record in records:
            taken.append(record)
            if len(taken) == 2:
                raise ValueError("the second")

    kept = Records(failing)
    kept.add(4)
    flush()
    assert len(taken) == 4
    assert [(component, str(error)) for component, error in kept.failures] == [("sink 0", "the second")]


def test_sink_that_takes_nothing_and_fails_is_told_once() -> None:
    def broken(records: Iterator[RequestRecord]) -> None:
        raise ValueError("never")

    kept = Records(broken)
    kept.add(4)
    flush()
    assert len(kept.failures) == 1


def test_threads_lose_nothing_and_count_nothing_twice(output: Output) -> None:
    own = observer()

    def work() -> None:
        for _ in range(400):
            serve(own, route="/a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        measured(own)
    for thread in threads:
        thread.join()
    assert measured(own) == 3200
    own.close()
    assert len(output.lines()) == 3200


def test_failure_to_record_one_leaves_the_others(output: Output) -> None:
    own = observer()
    for route in ("/a", ["no text, which is no part of a key"], "/a"):
        serve(own, route=route)
    assert measured(own) == 2
    assert internal_errors(own, "metrics") == 1
    assert "GET /items/7 200" in output.messages()


def test_what_waits_while_the_log_is_stuck_is_bounded_and_told(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_CAPACITY", 80)
    monkeypatch.setattr(queue, "_TIMEOUT_SECONDS", 0.01)
    own = observer()
    is_stuck, goes_on = threading.Event(), threading.Event()
    lock = own.gateway._queue.flusher.lock

    def stuck() -> None:  # a thread whose write does not return
        lock.take(sys._getframe(), timeout_seconds=1)
        is_stuck.set()
        goes_on.wait(30)
        lock.give()

    thread = threading.Thread(target=stuck)
    thread.start()
    is_stuck.wait(10)
    for _ in range(100):
        serve(own, route="/a")
    goes_on.set()
    thread.join()
    assert measured(own) == 80
    assert internal_errors(own, "queue") == 20


def test_a_record_costs_few_calls_when_its_batch_is_flushed(output: Output) -> None:
    own, calls = observer(), [0]
    for _ in range(100):
        serve(own, route="/a")
    flush()
    for _ in range(63):
        serve(own, route="/a")

    def count(frame: Any, event: str, argument: Any) -> None:
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        flush()
    finally:
        sys.setprofile(None)
    assert len(output.lines()) == 163
    assert calls[0] / 63 <= 25  # measured and written


# Order


def test_line_of_the_app_follows_the_access_lines_before_it(output: Output) -> None:
    own = observer()
    serve(own)
    logging.getLogger("shop").info("later")
    assert output.messages() == ["GET /items/7 200", "later"]


def test_line_of_an_error_follows_those_that_waited(output: Output) -> None:
    own = observer()
    serve(own)
    serve(own, status=500)
    assert output.messages() == ["GET /items/7 200", "GET /items/7 500"]


# Handlers of the user's own


def test_another_handler_has_its_record_at_once_and_inside_the_request(output: Output) -> None:
    seen: list[tuple[str, Any]] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), current_exchange()))

    own = observer()
    exchange = started(own)
    exchange.status = 200
    logging.getLogger().handlers.append(Listening())
    with exchange:
        exchange.finish()
    assert seen == [("GET /items/7 200", exchange)]
    assert output.messages() == ["GET /items/7 200"]


def test_handler_that_joins_while_a_line_waits_has_it_too(output: Output) -> None:
    seen: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(f"{record.getMessage()} {record.__dict__['route']}")

    own = observer()
    serve(own, route="/a")
    logging.getLogger().handlers.append(Listening())
    own.close()
    assert seen == ["GET /items/7 200 /a"]
    assert output.messages() == ["GET /items/7 200"]


def test_line_that_waits_while_its_level_is_switched_off_is_not_written(output: Output) -> None:
    own = observer()
    serve(own)
    serve(own)
    assert output.messages() == []
    logging.getLogger("obs.access").setLevel(logging.ERROR)
    try:
        own.close()
    finally:
        logging.getLogger("obs.access").setLevel(logging.NOTSET)
    assert output.messages() == []


def record_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", lambda *args, **kw: logging.LogRecord(*args, **kw))


def error_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    call_handlers = logging.Logger.callHandlers
    monkeypatch.setattr(logging.Logger, "callHandlers", lambda self, record: call_handlers(self, record))


class Proxy:
    """As wrapt makes them: it looks like what it is around."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._wrapped.__get__(instance, owner)


def error_tracker_with_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.Logger, "callHandlers", Proxy(logging.Logger.callHandlers))


def make_record_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    make = logging.Logger.makeRecord
    monkeypatch.setattr(logging.Logger, "makeRecord", lambda self, *args, **kw: make(self, *args, **kw))


def handle_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = logging.Logger.handle
    monkeypatch.setattr(logging.Logger, "handle", lambda self, record: handle(self, record))


def filter_of_the_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("obs.access"), "filters", [lambda record: True])


def filter_of_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger().handlers[0], "filters", [lambda record: True])


def handler_of_the_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("obs.access"), "handlers", [logging.NullHandler()])


def handler_of_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("obs"), "handlers", [logging.NullHandler()])


def handler_of_a_class_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(LineHandler):
        pass

    theirs = Theirs(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [theirs])


def logger_that_does_not_propagate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("obs"), "propagate", False)


@pytest.mark.parametrize(
    "arrange",
    [
        record_factory,
        error_tracker,
        error_tracker_with_proxies,
        make_record_replaced,
        handle_replaced,
        filter_of_the_logger,
        filter_of_the_handler,
        handler_of_the_logger,
        handler_of_the_parent,
        handler_of_a_class_of_theirs,
        logger_that_does_not_propagate,
    ],
)
def test_line_waits_for_nobody_but_our_own_handler(
    arrange: Any, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = logging.getLogger("obs.access")
    assert sole_handler(access, logging.INFO) is output.handler
    arrange(monkeypatch)
    assert sole_handler(access, logging.INFO) is None


def test_stream_of_text_alone_is_written_too(output: Output) -> None:
    text = io.StringIO()
    output.handler.setStream(text)
    own = observer()
    serve(own)
    own.close()
    assert strict_json(text.getvalue().strip())["message"] == "GET /items/7 200"


class Tee(io.TextIOWrapper):
    """A stream that does more with text than write it."""

    def __init__(self, inner: io.BytesIO) -> None:
        super().__init__(inner, encoding="utf-8")
        self.copies: list[str] = []

    def write(self, text: str) -> int:
        self.copies.append(text)
        return super().write(text)


def test_stream_that_does_more_than_write_sees_every_line(output: Output) -> None:
    tee = Tee(output.bytes)
    output.handler.setStream(tee)
    own = observer()
    serve(own)
    own.close()
    assert "GET /items/7 200" in "".join(tee.copies)


def test_formatter_derived_from_ours_formats_every_line(output: Output) -> None:
    class Theirs(JsonFormatter):
        def format(self, record: logging.LogRecord) -> str:
            return super().format(record).replace("GET", "get")

    output.handler.setFormatter(Theirs())
    own = observer()
    serve(own)
    own.close()
    assert output.messages() == ["get /items/7 200"]


@pytest.mark.parametrize("peer", [(b"x", 1), (127, 1), (None, None), (object(), 1)])
def test_address_that_is_no_text_costs_no_other_line(peer: Any, output: Output) -> None:
    own = observer()
    serve(own)
    serve(own, request(peer=peer))
    serve(own)
    own.close()
    assert output.messages() == ["GET /items/7 200"] * 3


def test_what_an_observer_leaves_that_is_gone_is_recorded(output: Output) -> None:
    registry = CollectorRegistry()
    serve(observer(registry=registry), route="/a")
    gc.collect()
    assert registry.get_sample_value(COUNT, LABELS) == 1
    assert output.messages() == ["GET /items/7 200"]


def test_batch_that_a_signal_interrupts_is_handed_over_all_the_same() -> None:
    interruptions = [KeyboardInterrupt()]

    def interrupted(records: Iterator[RequestRecord]) -> None:
        for record in records:
            kept.records.append(record)
            if interruptions and len(kept.records) == 2:
                raise interruptions.pop()

    kept = Records(interrupted)
    kept.queue.flusher.lock.take(None, timeout_seconds=1)  # our own thread does not flush meanwhile
    kept.add(5)
    kept.queue.flusher.lock.give()
    with pytest.raises(KeyboardInterrupt):
        flush()
    kept.add()  # what has come since is seen as well
    flush()
    assert len(kept.records) == 6


def test_exception_out_of_a_signals_handler_leaves_nothing_locked() -> None:
    """Wherever it hits: between any two instructions of a flush."""

    class Interrupt(BaseException):
        pass

    def interrupt_at(instruction: int) -> bool:
        """Raise at that instruction of the queue's code; tell whether it came to it."""
        left = [instruction]

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename not in (queue.__file__, flush_lock.__file__):
                return None
            frame.f_trace_opcodes = True
            left[0] -= event in ("opcode", "line")  # the first releases of 3.12 tell lines alone
            if left[0] < 0:
                raise Interrupt
            return trace

        former = sys.gettrace()
        sys.settrace(trace)
        try:
            flush()
        except Interrupt:
            return True
        finally:
            sys.settrace(former)
        return False

    kept, count = Records(), 1
    kept.add()
    while interrupt_at(count):
        assert not kept.queue.flusher.lock.is_held
        flush(timeout_seconds=0)
        assert len(kept.records) == count
        kept.add()
        count += 1
    assert count > 20


def test_without_a_thread_to_be_had_lines_are_written_at_once(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = observer()
    monkeypatch.setattr(own.gateway._queue.flusher.worker, "_thread", None)
    monkeypatch.setattr(own.gateway._queue.flusher.worker, "is_asleep", True)
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    for count in (1, 2):
        serve(own)
        assert len(output.lines()) == count


def test_logging_can_be_configured_while_others_log(output: Output) -> None:
    own, is_over = observer(), threading.Event()

    def work() -> None:
        while not is_over.is_set():
            serve(own)
            logging.getLogger("shop").info("hello")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(200):
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


# Processes


TORN = """
import sys
from obs_middleware import Observer, RequestInfo
own = Observer()
own.gateway.set_up()
for _ in range(1500):
    exchange = own.gateway.start(RequestInfo("GET", "/" + "x" * 200, "", "http", {}.get))
    exchange.status = 200
    exchange.finish()
"""


def test_processes_that_share_an_output_tear_no_line(tmp_path: Path) -> None:
    read, write = os.pipe()
    script = tmp_path / "writes.py"
    script.write_text(TORN)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([sys.executable, script], stdout=write, env=env) for _ in range(3)]
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as output:
        lines = [strict_json(line.rstrip("\n")) for line in output]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(lines) == 4500


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


@pytest.mark.parametrize("is_ours", [True, False])
def test_fork_takes_the_flush_lock_from_nobody(is_ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_TIMEOUT_SECONDS", 0.01)
    flusher, is_over = Flusher(), threading.Event()
    is_taken = threading.Event()

    def hold() -> None:
        flusher.lock.take(sys._getframe(), timeout_seconds=1)
        is_taken.set()
        is_over.wait(30)

    if is_ours:
        flusher.lock.take(sys._getframe(), timeout_seconds=1)
    else:
        threading.Thread(target=hold, daemon=True).start()
        is_taken.wait(10)
    flusher._hold()
    flusher._release()
    assert flusher.lock.is_held
    is_over.set()


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_lines_that_wait_at_the_end_of_a_forked_process_are_written() -> None:
    written = python(CHILD, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"})
    assert [written.count(f'"GET /{path} 200"') for path in ("parent", "child")] == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_writes_its_own_lines_and_none_of_its_parents() -> None:
    # Python 3.12 and later warn of any fork in a process with threads.
    written = python(FORK, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"})
    assert [written.count(f'"GET /{path} 200"') for path in ("last", "parent", "child")] == [3, 1, 1]


def test_thread_that_flushes_is_a_daemon_and_one_for_the_process(output: Output) -> None:
    for _ in range(3):
        serve(observer())
    output.wait_for(3)
    threads = [thread for thread in threading.enumerate() if thread.name == "obs-background"]
    assert len(threads) == 1
    assert threads[0].daemon
    assert sys.is_finalizing() is False
