"""SIGTERM waits while the service drains, and then goes on to whoever has handled it before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.core.support import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")

SERVED = """
import asyncio, logging, os, signal, sys, threading, time
from obs_middleware import Observer, lifecycle, queue, sigterm
queue.flush.__kwdefaults__["timeout_seconds"] = 60.0  # on a busy machine a flush may take a second
own = Observer(drain_seconds=0.3, tracing_enabled=False, access_log=False)
own.gateway.set_up()
states = []
own.lifecycle.on_change(lambda before, now: states.append(now))
began, handled, clock = [], [], time.monotonic
def told(*what): os.write(1, f"{' '.join(map(str, what))}\\n".encode())  # in one piece
def waited(): return "late" if clock() - began[0] > 0.29 else "early"
def term():
    began.append(clock())
    os.kill(os.getpid(), signal.SIGTERM)
def until(holds):
    end = time.monotonic() + 40
    while not holds() and time.monotonic() < end: time.sleep(0.01)
"""
HANDLED = """
def handler(number, frame): told("server", waited(), own.lifecycle.state); handled.append(number)
signal.signal(signal.SIGTERM, handler)
"""
# No drain ends before the test says so.
STOPPED_CLOCK = """
now = [time.monotonic()]
clock = lifecycle.monotonic = sigterm.monotonic = lambda: now[0]
def drain_passes(): now[0] += 0.3
"""


def run(code: str) -> list[str]:
    return [line for line in python(SERVED + code).splitlines() if not line.startswith("{")]


@pytest.mark.once
def test_the_servers_handler_gets_the_signal_when_the_drain_is_over() -> None:
    code = """
own.gateway.started()
term(); term()
told(own.lifecycle.state)
time.sleep(0.1)  # without a drain the server would be told by now
drain_passes()
until(lambda: handled and "draining" in states)
term()  # once more, and at once
told(*states)
"""
    assert run(HANDLED + STOPPED_CLOCK + code) == [
        "draining",
        "server late draining",
        "server late draining",
        "serving draining",
    ]


@pytest.mark.once
def test_a_listener_that_hangs_holds_no_signal_up() -> None:
    code = """
own.lifecycle.on_change(lambda before, now: time.sleep(60 if now == "draining" else 0))
own.gateway.started()
term()
until(lambda: handled)
os._exit(0)
"""
    assert run(HANDLED + code) == ["server late draining"]


@pytest.mark.once
def test_a_process_that_serves_nobody_handles_it_at_once() -> None:
    code = "own.gateway.started(is_serving=False); term()"
    assert run(HANDLED + STOPPED_CLOCK + code) == ["server early serving"]
    code = """
import warnings; warnings.simplefilter("ignore")
own.gateway.started()
if os.fork(): os.wait()
else: term(); os._exit(0)
"""
    assert run(HANDLED + STOPPED_CLOCK + code) == ["server early serving"]


@pytest.mark.once
def test_without_a_drain_nothing_stands_before_the_servers_handler() -> None:
    code = """
own = Observer(drain_seconds=0)
own.gateway.started()
told(signal.getsignal(signal.SIGTERM) is handler, signal.getsignal(signal.SIGURG) == signal.SIG_DFL)
"""
    assert "True False" in run(HANDLED + code)


@pytest.mark.once
def test_a_handler_that_is_set_later_gets_it_late_too() -> None:
    code = """
own.gateway.started()
def second(number, frame): told("second", waited()); before(number, frame)
before = signal.signal(signal.SIGTERM, second)
own.gateway.started()
term()
until(lambda: handled)
"""
    assert run(HANDLED + code) == ["second late", "server late draining"]


@pytest.mark.once
def test_one_that_drains_already_waits_for_the_rest_alone() -> None:
    code = """
own.gateway.started()
own.lifecycle.drain()
drain_passes()
term()
until(lambda: handled)
"""
    assert run(HANDLED + STOPPED_CLOCK + code) == ["server early draining"]


def test_requests_in_other_threads_stand_before_the_handler_too() -> None:
    code = """
thread = threading.Thread(target=own.gateway.started)
thread.start(); thread.join()
until(lambda: signal.getsignal(signal.SIGTERM) is not handler)
term()
until(lambda: handled)
"""
    assert run(HANDLED + code) == ["server late draining"]


@pytest.mark.parametrize("last", ["", "fails"])
def test_all_is_handed_over_before_the_server_gets_the_signal_and_with_each_request_after_it(
    last: str,
) -> None:
    """uvicorn raises the signal again as soon as the last request has ended, so that no exit handler runs."""
    code = f"""
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from obs_middleware import RequestInfo, hand_over
hand_over._SECONDS = 60.0
exports = []
class Spans(SpanExporter):
    def export(self, spans):
        for span in spans:
            told("span of", span.attributes["url.path"])
        return SpanExportResult.SUCCESS
class Last:
    interval_seconds = 60
    def export(self, collected):
        samples = [sample for family in collected.families for sample in family.samples]
        counts = [one for one in samples if one.name == "http_server_request_duration_seconds_count"]
        told("exported", sum(one.value for one in counts))
        exports.append(counts)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Spans(), schedule_delay_millis=60_000))
own = Observer(drain_seconds=0.3, tracer_provider=provider)
def begin(path):
    return own.gateway.start(RequestInfo("GET", path, "", "http", {{}}.get))
def end(exchange):
    exchange.status = 200
    exchange.finish()
own.gateway.set_up()
own.exporters.add(Last())
own.gateway.started()
until(lambda: exports)
end(begin("/first"))
last, longest = begin("/last"), begin("/longest")
if {last!r}:
    longest.note_error(ValueError("it"))
term()
until(lambda: handled)
told("the server waits")
end(last)
told("one is left")
end(longest)
os._exit(0)
"""
    lines = python(SERVED + HANDLED + code).splitlines()
    told = [json.loads(line)["message"] if line.startswith("{") else line for line in lines]
    handled, waits, is_left = map(told.index, ("server late draining", "the server waits", "one is left"))
    assert {"GET /first 200", "span of /first", "exported 1.0"} < {*told[:handled]}
    assert sorted(told[waits + 1 : is_left]) == ["GET /last 200", "span of /last"]
    assert sorted(told[is_left + 1 :]) == ["GET /longest 200", "exported 3.0", "span of /longest"]


@pytest.mark.once
def test_a_collector_that_hangs_keeps_no_line_of_the_last_requests_back() -> None:
    """It takes over two seconds, because the collector gets one before the server gets the signal."""
    code = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from obs_middleware import RequestInfo, hand_over
write = hand_over._writing.within  # a collector hangs here, and nobody else takes long
hand_over._writing.within = lambda seconds, function: write(60.0, function)
class Hangs(SpanExporter):
    def export(self, spans): time.sleep(600)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Hangs(), schedule_delay_millis=60_000))
own = Observer(drain_seconds=0.3, tracer_provider=provider)
def begin(path):
    return own.gateway.start(RequestInfo("GET", path, "", "http", {}.get))
own.gateway.set_up()
own.gateway.started()
under_way = [begin(f"/{number}") for number in range(3)]
begin("/first").finish()
handed = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: handed.set())
own.gateway.started()
term()
handed.wait(60)
for exchange in under_way:
    exchange.finish()
os._exit(0)
"""
    lines = [json.loads(line)["message"] for line in python(SERVED + code).splitlines()]
    paths = [line.split()[1] for line in lines if line.startswith("GET /")]
    assert paths == ["/first", "/0", "/1", "/2"]


@pytest.mark.once
def test_what_has_no_handler_ends_by_the_signal_after_all_is_handed_over() -> None:
    code = (
        SERVED
        + """
signal.signal(signal.SIGTERM, signal.SIG_DFL)  # coverage has a handler
exports = []
class Last:
    interval_seconds = 60
    def export(self, collected): told("exported", collected.is_running); exports.append(collected)
own.exporters.add(Last())
own.gateway.started()
until(lambda: exports)
term()
time.sleep(60)
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("{")]
    assert (lines, done.returncode) == (["exported True", "exported False"], -signal.SIGTERM)


@pytest.mark.once
@pytest.mark.parametrize("end", ["sys.exit()", "time.sleep(600)", "exec('raise KeyboardInterrupt')"])
def test_a_listener_of_the_end_keeps_no_process_from_it(end: str) -> None:
    """It takes over a second, because a listener gets time."""
    code = f"""
sigterm.STOP_SECONDS = 0
signal.signal(signal.SIGTERM, signal.SIG_DFL)
own.lifecycle.on_change(lambda before, now: {end} if now == "stopped" else None)
own.gateway.started()
term()
time.sleep(40)
told("still there")
"""
    done = subprocess.run([sys.executable, "-c", SERVED + code], capture_output=True, text=True, timeout=100)
    assert ("still there" in done.stdout, done.returncode) == (False, -signal.SIGTERM)


@pytest.mark.once
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
own.gateway.started()
term()
told(own.lifecycle.state)
"""
    assert run(code) == ["serving"]


@pytest.mark.once
def test_a_forked_child_of_a_loop_tells_its_parent_of_no_signal() -> None:
    code = """
import warnings; warnings.simplefilter("ignore")
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: told("parent"))
    own.gateway.started(loop=loop)
    child = os.fork()
    if not child:
        term()
        time.sleep(0.4)
        os._exit(0)
    await asyncio.sleep(0.7)
    told(os.waitpid(child, 0)[1], own.lifecycle.state)
asyncio.run(main())
"""
    assert run(code) == ["0 serving"]


LOOP = """
async def main():
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    def handler(): told("server", waited(), own.lifecycle.state); gone.set()
    def other(): told("other", waited()); loop.call_later(0.1, drain_passes)
    loop.add_signal_handler(signal.SIGTERM, handler)
    loop.add_signal_handler(signal.SIGUSR1, other)
    own.gateway.started(loop=loop)
    own.gateway.started(loop=loop)
    term()
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(gone.wait(), 40)
    gone.clear()
    term()
    await asyncio.wait_for(gone.wait(), 40)
"""


@pytest.mark.parametrize("run_loop", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_a_loop_that_handles_signals_itself_gets_it_late_and_others_at_once(run_loop: str) -> None:
    assert run(STOPPED_CLOCK + LOOP + run_loop) == [
        "other early",
        "server late draining",
        "server late draining",
    ]


@pytest.mark.once
def test_a_process_that_serves_again_drains_again() -> None:
    code = """
for times in (1, 2):
    began.clear()
    own.gateway.starting()
    own.gateway.started()
    term()
    until(lambda: len(handled) == times and states.count("draining") == times)
told(*states)
"""
    assert run(HANDLED + code) == [
        "server late draining",
        "server late draining",
        "serving draining starting serving draining",
    ]
