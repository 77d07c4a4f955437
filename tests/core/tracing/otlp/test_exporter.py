"""Batches reach a collector as the variables of OpenTelemetry say, and what can't be sent is told, without a flood."""

from __future__ import annotations

import gzip
import json
import os
import ssl
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry import context as otel_context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from obs_middleware.tracing.otlp.connection import Target, target
from obs_middleware.tracing.otlp.exporter import OtlpExporter
from obs_middleware.tracing.packed_span import PackedBatchProcessor
from tests.core.support import ROOT, forks_among_threads, python
from tests.running import free_port

CERTIFICATE = str(Path(__file__).with_name("tls.pem"))  # for 127.0.0.1, with its key, signed by itself
OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
SPAN = ReadableSpan(
    "name", SpanContext(1, 2, False, TraceFlags(1)), resource=Resource({"service.name": "shop"})
)


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes
    client: int  # the port of the connection


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    does_hang_up: bool = False  # after the answer, without a word of it
    seconds: float = 0.0  # until it comes, or the collector ends


class Collector:
    """A server that notes what it gets and answers with what is next in `replies`, else 200."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(Asked(self.path, headers, body, self.client_address[1]))
                reply = outer.replies.popleft() if outer.replies else Reply()
                outer._over.wait(reply.seconds)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                if not any(name == "Transfer-Encoding" for name, _ in reply.headers):
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.does_hang_up

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # clients that hang up, handshakes that fail

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


Make = Callable[..., OtlpExporter]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Iterator[Make]:
    """Make exporters from variables, named without OTEL_EXPORTER_OTLP_."""
    made: list[OtlpExporter] = []

    def make(endpoint: str | None = None, **variables: str) -> OtlpExporter:
        for name, value in ({"ENDPOINT": collector.url, "TIMEOUT": "60"} | variables).items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
        made.append(OtlpExporter(aimed(endpoint)))
        return made[-1]

    yield make
    for exporter in made:
        exporter.shutdown()


def aimed(endpoint: str | None = None) -> Target:
    to = target(endpoint)
    assert to is not None
    return to


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses but those that the collector asks for."""
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "obs"]


def names(body: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span.name for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]


def test_a_batch_is_posted(make: Make, collector: Collector) -> None:
    assert make().export([SPAN, SPAN]) is OK
    (asked,) = collector.asked
    assert asked.path == "/v1/traces"
    assert names(asked.body) == ["name", "name"]
    assert asked.headers["content-type"] == "application/x-protobuf"
    name, _, version = asked.headers["user-agent"].partition("/")
    assert name == "obs-middleware-OTLP-Exporter-Python"
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    assert asked.headers["host"] == f"127.0.0.1:{collector.port}"
    assert "content-encoding" not in asked.headers


def test_headers_are_those_of_the_variables(make: Make, collector: Collector) -> None:
    make(HEADERS="a=1,x-key=two%20words,User-Agent=mine").export([SPAN])
    make(TRACES_HEADERS="b=2").export([SPAN])
    first, second = (asked.headers for asked in collector.asked)
    assert (first["a"], first["x-key"], first["user-agent"]) == ("1", "two words", "mine")
    assert second["b"] == "2"
    assert "a" not in second


@pytest.mark.parametrize(
    ("compression", "unpack"), [("gzip", gzip.decompress), (" Deflate", zlib.decompress)]
)
@pytest.mark.parametrize("name", ["COMPRESSION", "TRACES_COMPRESSION"])
def test_the_body_is_compressed(
    name: str, compression: str, unpack: Callable[[bytes], bytes], make: Make, collector: Collector
) -> None:
    make(**{name: compression}).export([SPAN] * 100)
    (asked,) = collector.asked
    assert asked.headers["content-encoding"] == compression.strip().lower()
    assert len(asked.body) < 1000
    assert names(unpack(asked.body)) == ["name"] * 100


def test_the_connection_is_kept(make: Make, collector: Collector) -> None:
    exporter = make()
    for _ in range(3):
        assert exporter.export([SPAN]) is OK
    assert len({asked.client for asked in collector.asked}) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(does_hang_up=True),
        Reply(headers=(("Connection", "close"),), does_hang_up=True),
        Reply(body=bytes(200_000)),
    ],
    ids=["hung up", "closed", "long answer"],
)
def test_a_connection_that_is_no_good_any_more_costs_nothing(
    reply: Reply, make: Make, collector: Collector
) -> None:
    collector.replies.append(reply)
    exporter = make()
    assert exporter.export([SPAN]) is OK
    time.sleep(0.05)
    assert exporter.export([SPAN]) is OK
    assert len({asked.client for asked in collector.asked}) == 2


def test_an_answer_in_chunks_leaves_the_connection_good(make: Make, collector: Collector) -> None:
    chunks = (("Transfer-Encoding", "chunked"),)
    collector.replies.append(Reply(body=b"2\r\n\x12\x00\r\n0\r\n\r\n", headers=chunks))
    exporter = make()
    assert [exporter.export([SPAN]) for _ in range(2)] == [OK, OK]
    assert len({asked.client for asked in collector.asked}) == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int, make: Make, collector: Collector) -> None:
    collector.replies.extend([Reply(status), Reply(status)])
    assert make().export([SPAN]) is OK
    assert len(collector.asked) == 3
    assert len({asked.body for asked in collector.asked}) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500])
def test_what_will_not_pass_is_not(
    status: int, make: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.replies.append(Reply(status, headers=(("Location", "/elsewhere"),)))
    assert make().export([SPAN]) is FAILED
    assert len(collector.asked) == 1
    (line,) = lines(caplog)
    assert line.startswith(f"spans lost on their way to {collector.url}/v1/traces: 1; {status} ")


@pytest.mark.usefixtures("at_once")
def test_six_tries_are_enough(make: Make, collector: Collector) -> None:
    collector.replies.extend([Reply(503)] * 10)
    assert make().export([SPAN]) is FAILED
    assert len(collector.asked) == 6


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "when", ["0.3", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"]
)
def test_the_collector_says_when(when: str, make: Make, collector: Collector) -> None:
    """An hour is more than there is."""
    collector.replies.append(Reply(429, headers=(("Retry-After", when),)))
    started = time.monotonic()
    assert make().export([SPAN]) is (OK if when == "0.3" else FAILED)
    seconds = time.monotonic() - started
    assert seconds >= 0.3 if when == "0.3" else seconds < 25


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("when", ["soon", "nan", "-1", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_time_that_says_nothing_is_not_waited_for(when: str, make: Make, collector: Collector) -> None:
    collector.replies.append(Reply(503, headers=(("Retry-After", when),)))
    assert make().export([SPAN]) is OK


class Pauses(threading.Event):
    """Pauses that are over at once, on a clock that they alone make go on."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return False

    def monotonic(self) -> float:
        return 1000.0 + sum(self.seconds)


def test_pauses_grow_until_there_is_no_time_left(
    make: Make, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About 1 s, then 2, 4 and 8: 16 are too long, for at least 24.8 s lie between the first try and the sixth."""
    pauses = Pauses()
    for module in ("exporter", "connection"):
        monkeypatch.setattr(f"obs_middleware.tracing.otlp.{module}.time", pauses)
    exporter = make(TRACES_TIMEOUT="24")
    monkeypatch.setattr(exporter, "_stopping", pauses)
    collector.replies.extend([Reply(503)] * 10)
    assert exporter.export([SPAN]) is FAILED
    assert pauses.seconds == [pytest.approx(2**number, rel=0.2) for number in range(4)]
    assert len(collector.asked) == 5


def test_a_collector_that_hangs_is_not_waited_for(make: Make, collector: Collector) -> None:
    collector.replies.append(Reply(seconds=60.0))
    started = time.monotonic()
    assert make(TIMEOUT="0.2").export([SPAN]) is FAILED
    assert time.monotonic() - started < 25


@pytest.mark.usefixtures("at_once")
def test_nobody_there_is_told_once_in_a_minute(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = make(f"http://127.0.0.1:{free_port()}/v1/traces?key=secret")
    for _ in range(3):
        assert exporter.export([SPAN, SPAN]) is FAILED
    (line,) = lines(caplog)
    assert "spans lost" in line
    assert ": 2; ConnectionRefusedError" in line
    assert "secret" not in line
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic() + 100: now)
    exporter.export([SPAN])
    assert ": 5; " in lines(caplog)[1]


def test_what_the_collector_does_not_take_is_told(
    make: Make, collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="no room")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    collector.replies.append(Reply(body=body))
    lost: list[tuple[str, int]] = []
    monkeypatch.setattr("obs_middleware.losses._listeners", [lambda *loss: lost.append(loss)])
    assert make().export([SPAN, SPAN]) is OK
    assert lost == [("spans", 1)]
    (line,) = lines(caplog)
    assert line.endswith(": 1; the collector says: no room")


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"\xff"], ids=repr)
def test_an_answer_that_is_no_protobuf_says_nothing(
    body: bytes, make: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.replies.append(Reply(body=body))
    assert make().export([SPAN]) is OK
    assert lines(caplog) == []


def test_a_header_that_cannot_be_sent_is_told_without_its_value(
    make: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    assert make(HEADERS="key=sec%0Aret").export([SPAN]) is FAILED
    (line,) = lines(caplog)
    assert "ValueError" in line
    assert "ret" not in line.partition("ValueError")[2]


def test_a_batch_that_is_too_long_is_not_sent(
    make: Make, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("obs_middleware.tracing.otlp.exporter._MOST_BYTES", 10)
    assert make().export([SPAN]) is FAILED
    assert collector.asked == []
    assert "bytes are too many" in lines(caplog)[0]


def test_a_span_that_cannot_be_written_is_counted(
    make: Make, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    old = ReadableSpan("before 1970", SPAN.context, resource=SPAN.resource, start_time=-1)
    exporter = make()
    assert exporter.export([old, SPAN]) is OK
    assert exporter.export([old]) is OK
    assert [names(asked.body) for asked in collector.asked] == [["name"]]
    assert ": 1; error:" in lines(caplog)[0]


def test_after_the_end_nothing_is_sent(make: Make, collector: Collector) -> None:
    exporter = make()
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export([SPAN]) is FAILED
    assert exporter.force_flush() is True
    assert collector.asked == []


def test_the_end_waits_for_no_pause(make: Make, collector: Collector) -> None:
    collector.replies.extend([Reply(503, headers=(("Retry-After", "50"),))] * 10)
    exporter, results = make(), list[SpanExportResult]()
    thread = threading.Thread(target=lambda: results.append(exporter.export([SPAN])))
    started = time.monotonic()
    thread.start()
    while not collector.asked:
        time.sleep(0.01)
    time.sleep(0.05)
    exporter.shutdown()
    thread.join()
    assert results == [FAILED]
    assert time.monotonic() - started < 25


def tls(*, wants_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    if wants_certificate:
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def secure() -> Iterator[Collector]:
    made = Collector(tls())
    yield made
    made.close()


@pytest.mark.parametrize(
    "trusting",
    [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ],
)
def test_a_certificate_that_is_trusted(
    trusting: str, make: Make, secure: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(trusting, CERTIFICATE)
    exporter = make(ENDPOINT=secure.url)
    assert [exporter.export([SPAN]) for _ in range(2)] == [OK, OK]
    assert len({asked.client for asked in secure.asked}) == 1


@pytest.mark.usefixtures("at_once")
def test_a_certificate_that_is_not_trusted(
    make: Make, secure: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    assert make(ENDPOINT=secure.url).export([SPAN]) is FAILED
    assert secure.asked == []
    assert "SSLCertVerificationError" in lines(caplog)[0]


@pytest.mark.usefixtures("at_once")
def test_a_name_that_is_not_the_certificates(make: Make, secure: Collector) -> None:
    url = secure.url.replace("127.0.0.1", "127.0.0.2")
    assert make(ENDPOINT=url, CERTIFICATE=CERTIFICATE).export([SPAN]) is FAILED


@pytest.mark.usefixtures("at_once")
def test_a_certificate_of_our_own(make: Make, tmp_path: Path) -> None:
    certificate, _, key = Path(CERTIFICATE).read_text().partition("-----BEGIN PRIVATE")
    (tmp_path / "own.crt").write_text(certificate)
    (tmp_path / "own.key").write_text("-----BEGIN PRIVATE" + key)
    collector = Collector(tls(wants_certificate=True))
    try:
        known = {"ENDPOINT": collector.url, "CERTIFICATE": CERTIFICATE}
        assert make(**known).export([SPAN]) is FAILED
        assert make(**known, CLIENT_CERTIFICATE=CERTIFICATE).export([SPAN]) is OK
        pair = {"CLIENT_CERTIFICATE": str(tmp_path / "own.crt"), "CLIENT_KEY": str(tmp_path / "own.key")}
        assert make(**known, **pair).export([SPAN]) is OK
    finally:
        collector.close()


@pytest.mark.usefixtures("at_once")
def test_a_certificate_that_is_not_there_is_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    assert make("https://127.0.0.1:9", CERTIFICATE="/nowhere").export([SPAN]) is FAILED
    assert "FileNotFoundError" in lines(caplog)[0]


def test_nobody_makes_spans_of_the_sending(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, exporter = list[object](), make()

    def note(body: bytearray) -> str:
        seen.append(otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY))
        return ""

    monkeypatch.setattr(exporter, "_sent", note)
    provider = TracerProvider()
    provider.add_span_processor(PackedBatchProcessor(exporter, takes_packed=True))
    provider.get_tracer("x").start_span("y").end()
    provider.force_flush()
    provider.shutdown()
    assert seen == [True]


FORKED = """
import os, sys
from tests.core.tracing.otlp.test_exporter import OK, SPAN, OtlpExporter, aimed
exporter = OtlpExporter(aimed())
assert exporter.export([SPAN]) is OK
exporter._sending.acquire()  # as if the parent were at it
child = os.fork()
if not child:
    result = exporter.export([SPAN])
    exporter.shutdown()
    os._exit(0 if result is OK else 1)
_, status = os.waitpid(child, 0)
exporter._sending.release()
assert exporter.export([SPAN]) is OK
print(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_connection_of_its_own(collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    assert python(FORKED, env=env) == "0\n"
    first, child, last = (asked.client for asked in collector.asked)
    assert first == last != child


ENDS_AT_ONCE = """
import ctypes, os
from obs_middleware import Observer, RequestInfo, Settings
own = Observer(Settings.load(log_setup=False, access_log=False))
own.gateway.set_up()
def serve():
    exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
    exchange.status = 200
    exchange.finish()
"""


def test_span_is_out_when_the_request_has_ended_where_the_process_stands_still_then(
    collector: Collector,
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OBS_TRACE_SAMPLE_RATIO": "1"}
    python(ENDS_AT_ONCE + "serve()\nos._exit(0)", env=env | {"AWS_LAMBDA_FUNCTION_NAME": "orders"})
    assert len(collector.asked) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@forks_among_threads
def test_child_of_an_unseen_fork_exports_its_spans(collector: Collector) -> None:
    """By a thread of its own, since the SDK knows nothing of that fork."""
    code = """
import threading, time
from obs_middleware.tracing.otlp.exporter import OtlpExporter
export = OtlpExporter.export
def noted(exporter, spans):
    result = export(exporter, spans)
    exported.set()
    return result
OtlpExporter.export, exported = noted, threading.Event()
serve()
own.close()
for _ in range(5):
    time.sleep(0.03)  # a thread that waited for the GIL at the fork would leave it unusable in the child
if not ctypes.PyDLL(None).fork():
    exported = threading.Event()
    serve()
    exported.wait(60)
    os._exit(0)
os.wait()
"""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OBS_TRACE_SAMPLE_RATIO": "1"}
    python(ENDS_AT_ONCE + code, env=env | {"OTEL_BSP_SCHEDULE_DELAY": "100"})
    assert len({asked.client for asked in collector.asked}) == 2


SET_UP = """
import json, sys
from obs_middleware import Observer, Settings
from opentelemetry import trace
own = Observer(Settings.load(log_setup=False, access_log=False))
own.gateway.set_up()
exporter = trace.get_tracer_provider()._active_span_processor._span_processors[0].span_exporter
heavy = [name for name in ("requests", "urllib3", "google.protobuf", "grpc") if name in sys.modules]
print(json.dumps([type(exporter).__module__, heavy]))
"""


def set_up(**env: str) -> Any:
    return json.loads(python(SET_UP, env=env))


def test_ours_is_used_and_brings_nothing_along() -> None:
    assert set_up(OTLP_ENDPOINT="http://127.0.0.1:9") == ["obs_middleware.tracing.otlp.exporter", []]


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
        {"HTTP_PROXY": "http://127.0.0.1:9"},
    ],
    ids=str,
)
def test_the_sdks_own_is_used_where_ours_cannot_do_it(env: dict[str, str]) -> None:
    module, heavy = set_up(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:9", **env)
    assert module == "obs_middleware.tracing.packed_span"
    assert "google.protobuf" in heavy


def test_the_protocol_is_that_of_the_variables_endpoint() -> None:
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:9"}
    assert set_up(OBS_OTLP_ENDPOINT="http://d:9", **env)[0] == "obs_middleware.tracing.otlp.exporter"
