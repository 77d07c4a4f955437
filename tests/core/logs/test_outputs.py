"""Our handler, and whether it is all that would see a record."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from obs_middleware.logs.outputs import LineHandler, sole_handler


class Root(list[logging.Handler]):
    """The root logger's handlers, without those of pytest, which join for each test."""

    def append(self, handler: logging.Handler) -> None:
        if not type(handler).__module__.startswith("_pytest"):
            super().append(handler)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> LineHandler:
    """Make our handler the only one of the root logger."""
    handler = LineHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", Root([handler]))
    return handler


ACCESS = logging.getLogger("obs.access")


class Other(LineHandler):
    """Somebody else's, made of ours."""


@pytest.mark.parametrize(
    ("holder", "attribute", "value"),
    [
        (logging.root, "handlers", Root([Other(io.StringIO())])),
        (logging.root, "handlers", Root()),
        (logging.getLogger("obs"), "handlers", [logging.NullHandler()]),
        (ACCESS, "handlers", [logging.NullHandler()]),
        (ACCESS, "filters", [lambda record: True]),
        (ACCESS, "propagate", False),
        (logging.getLogger("obs"), "propagate", False),
        (logging.Logger, "handle", lambda self, record: None),
        (logging.Logger, "callHandlers", lambda self, record: None),
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
