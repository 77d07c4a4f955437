"""A record as a line for people."""

from __future__ import annotations

import re
from typing import Any

import pytest

from obs_middleware import Settings
from obs_middleware.logs import PrettyFormatter
from tests.core.logs.support import SECRET, raised, record
from tests.core.support import observer, request, started


def pretty(msg: object = "paid", *args: object, has_colour: bool = False, **extra: Any) -> str:
    return PrettyFormatter(settings=Settings(service_name="shop"), has_colour=has_colour).format(
        record(msg, *args, **extra)
    )


def test_pretty_line_has_time_level_logger_message_and_extras() -> None:
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO     shop  paid order  order=42", pretty("paid %s", "order", order=42)
    )


def test_pretty_line_has_the_request_it_belongs_to_and_no_secret() -> None:
    with started(observer(), request(headers={"x-request-id": "r-1"})):
        text = pretty(password=SECRET)
    assert "request_id=r-1" in text
    assert "password=REDACTED" in text


def test_pretty_line_has_the_colour_of_its_level_on_a_terminal() -> None:
    assert "\033[32mINFO" in pretty(has_colour=True)
    assert "\033" not in pretty()
    odd = record()
    odd.levelname = "Level 25"
    assert "Level 25" in PrettyFormatter(settings=Settings(), has_colour=True).format(odd)


def test_pretty_lines_of_a_long_message_are_indented_and_the_stack_follows() -> None:
    text = pretty("one\ntwo", exc_info=raised(ValueError("boom")))
    assert "\n    two" in text
    assert text.rstrip().endswith("ValueError: boom")


@pytest.mark.parametrize("value", ["boom", ["boom"], {"stack": 7}])
def test_pretty_line_takes_an_extra_that_is_called_exception(value: Any) -> None:
    assert "boom" in pretty(exception=value) or "7" in pretty(exception=value)


def test_pretty_line_takes_an_extra_that_is_called_exception_where_none_was_raised() -> None:
    assert "boom" in pretty(exc_info=(None, None, None), exception="boom")


def test_pretty_line_lets_no_client_write_to_the_terminal() -> None:
    text = pretty("GET /\x1b[2J\r\x07\x9b31m 200", agent="\x1b]0;title\x07")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
