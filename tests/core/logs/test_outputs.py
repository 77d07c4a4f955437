"""Our handler, and whether it is all that would see a record."""

from __future__ import annotations

import errno
import io
import logging
import logging.config
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import pytest

from obs_middleware.logs import JsonFormatter, file_descriptor
from obs_middleware.logs.outputs import LineHandler, sole_handler
from tests.core.support import ROOT, Output, WithoutPytest, observer, serve, strict_json


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> LineHandler:
    """Make our handler the only one of the root logger."""
    handler = LineHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", WithoutPytest([handler]))
    return handler


ACCESS = logging.getLogger("obs.access")


class Other(LineHandler):
    """Somebody else's, made of ours."""


class Proxy:
    """As wrapt makes them: it looks like what it is around."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._wrapped.__get__(instance, owner)


@pytest.mark.parametrize(
    ("holder", "attribute", "value"),
    [
        (logging.root, "handlers", WithoutPytest([Other(io.StringIO())])),
        (logging.root, "handlers", WithoutPytest()),
        (logging.getLogger("obs"), "handlers", [logging.NullHandler()]),
        (ACCESS, "handlers", [logging.NullHandler()]),
        (ACCESS, "filters", [lambda record: True]),
        (ACCESS, "propagate", False),
        (logging.getLogger("obs"), "propagate", False),
        (logging.Logger, "handle", lambda self, record: None),
        (logging.Logger, "callHandlers", lambda self, record: None),
        (logging.Logger, "callHandlers", Proxy(logging.Logger.callHandlers)),
        (logging.Logger, "makeRecord", lambda self, *args: None),
    ],
    ids=[
        "another handler",
        "no handler",
        "handler of the parent",
        "handler of the logger",
        "filter of the logger",
        "logger that does not propagate",
        "parent that does not propagate",
        "handle replaced",
        "callHandlers replaced",
        "callHandlers behind a proxy",
        "makeRecord replaced",
    ],
)
def test_handler_is_not_alone_where_somebody_else_could_see_or_change_a_record(
    handler: LineHandler, monkeypatch: pytest.MonkeyPatch, holder: Any, attribute: str, value: Any
) -> None:
    assert sole_handler(ACCESS, logging.INFO) is handler
    monkeypatch.setattr(holder, attribute, value)
    assert sole_handler(ACCESS, logging.INFO) is None


def test_handler_that_filters_by_itself_or_by_level_is_not_asked_to_write_lines(handler: LineHandler) -> None:
    handler.setLevel(logging.ERROR)
    assert sole_handler(ACCESS, logging.INFO) is None
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: True)
    assert sole_handler(ACCESS, logging.INFO) is None


def test_record_factory_of_somebody_else_gets_every_record(handler: LineHandler) -> None:
    class Record(logging.LogRecord):
        pass

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Record)
    try:
        assert sole_handler(ACCESS, logging.INFO) is None
    finally:
        logging.setLogRecordFactory(before)


def test_blocks_are_written_as_bytes_where_the_stream_takes_them_and_as_text_elsewhere() -> None:
    raw, text = io.BytesIO(), io.StringIO()
    wrapper = io.TextIOWrapper(raw, encoding="ascii")
    blocks = ["caf\u00e9\n".encode(), b"two\nthree\n"]
    LineHandler(wrapper).write(blocks)
    LineHandler(text).write(blocks)
    assert raw.getvalue() == b"".join(blocks)
    assert text.getvalue() == "caf\u00e9\ntwo\nthree\n"


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
        thread.join(60)
        assert not thread.is_alive()


TORN = """
import sys
from obs_middleware import Observer, RequestInfo
from obs_middleware.logs import file_descriptor
file_descriptor._PATIENCE_SECONDS = 60.0  # with others on a busy machine
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


WRITER = """
import logging
from obs_middleware import Observer
from obs_middleware.logs import file_descriptor
file_descriptor._PATIENCE_SECONDS = 60.0  # with others on a busy machine
Observer().gateway.set_up()
log = logging.getLogger("shop")
for number in range(25):
    log.info("row %d " % number * 1500)
    log.info("short")
"""


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have no locks on pipes")
def test_lines_of_processes_that_share_a_pipe_stay_whole() -> None:
    """It takes some seconds, because processes have to write at the same time to a slow reader."""
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER], stdout=writing, env={**os.environ, "OBS_LOG_SETUP": "1"}
        )
        for _ in range(3)
    ]
    os.close(writing)
    data = b""
    while piece := os.read(reading, 4096):
        data += piece
        time.sleep(0.0005)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    os.close(reading)
    lines = data.decode().splitlines()
    assert len(lines) == 150
    assert {len(strict_json(line)) > 4 for line in lines} == {True}


def test_line_longer_than_a_pipe_that_does_not_block_comes_out_whole() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(writing, "w", encoding="utf-8") as stream, ThreadPoolExecutor(1) as pool:
        written = pool.submit(LineHandler(stream).write, [b"x" * 300_000 + b"\n"])
        data = b""
        while not data.endswith(b"\n"):
            data += os.read(reading, 65_536)
        written.result()
    os.close(reading)
    assert len(data) == 300_001


def test_stream_that_has_nothing_but_write_is_written() -> None:
    class Writer:
        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> None:
            self.text += text

    writer = Writer()
    LineHandler(writer).write([b"one\n", b"two\n"])  # type: ignore[arg-type]
    assert writer.text == "one\ntwo\n"


HOLDER = r"""
import fcntl, os, sys
fcntl.lockf(1, fcntl.LOCK_EX)
os.write(1, b"held\n")
sys.stdin.read()
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Make a pipe: what reads it, and a stream that writes to it."""
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have no locks on pipes")
def test_line_is_written_though_another_process_keeps_the_pipe_locked(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_descriptor, "_PATIENCE_SECONDS", 0.02)
    reading, stream = pipe
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=stream) as holder:
        assert os.read(reading, 100) == b"held\n"
        LineHandler(stream).write([b"one\n"])
        assert os.read(reading, 100) == b"one\n"
        holder.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of pipes there")
def test_line_is_written_where_pipes_have_no_locks(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lockf(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(file_descriptor.fcntl, "lockf", lockf)
    reading, stream = pipe
    LineHandler(stream).write([b"one\n"])
    assert os.read(reading, 100) == b"one\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes always block there")
def test_reader_that_has_stopped_costs_lines_and_not_the_app(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(file_descriptor, "_PATIENCE_SECONDS", 0.02)
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    handler = LineHandler(stream)
    with pytest.raises(BlockingIOError):
        handler.write([b"x" * 300_000 + b"\n"])
    handler.handle(logging.makeLogRecord({"msg": "lost"}))
    assert "BlockingIOError" in capsys.readouterr().err
    os.read(reading, 100_000)
    handler.handle(logging.makeLogRecord({"msg": "written"}))
    assert os.read(reading, 300_000).endswith(b"written\n")


def test_stream_whose_descriptor_somebody_has_closed_costs_lines_and_not_the_app(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8", closefd=False) as stream:
        os.close(writing)
        LineHandler(stream).handle(logging.makeLogRecord({"msg": "lost"}))
    assert "Bad file descriptor" in capsys.readouterr().err
    os.close(reading)
