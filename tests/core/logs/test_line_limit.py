"""No line is longer than the limit, whatever is logged; what is cut says so, and what is short stays whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from obs_middleware import Settings
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.line_limit import shortened
from tests.core.logs.support import line, raised, record
from tests.core.support import observer, started, strict_json

LIMIT = 16_384


def nested() -> dict[str, Any]:
    return {"rows": [{"name": "x" * 900, "tags": ["y" * 50] * 100} for _ in range(100)]}


LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "message": ("x" * 20_000, {}),
    "characters of four bytes": ("\U0001f600" * 20_000, {}),
    "control characters": ("\x00" * 20_000, {}),
    "many extras": ("paid", {f"row{number}": "x" * 1000 for number in range(100)}),
    "very many extras": ("paid", {f"row{number:05}": number for number in range(5000)}),
    "very many extras and an exception": (
        "failed",
        {f"row{number:05}": number for number in range(1500)} | {"exc_info": raised(ValueError("sold out"))},
    ),
    "long names": ("paid", {"x" * 9000 + str(number): 1 for number in range(5)}),
    "deep": ("paid", {"order": nested()}),
    "a list": ("paid", {"rows": list(range(10**6, 10**6 + 120)) * 1, "text": ["z" * 15_000] * 9}),
    "all at once": ("東" * 20_000, {"order": nested(), "exc_info": raised(ValueError("row " * 5000))}),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize(
    "formatter",
    [
        JsonFormatter(settings=Settings()),
        JsonFormatter(settings=Settings(), is_ascii=True),
        JsonFormatter("%(levelname)s %(message)s", settings=Settings()),
        JsonFormatter(settings=Settings(), json_indent=2),
    ],
    ids=["ours", "ascii", "python-json-logger's fields", "indented"],
)
def test_line_is_json_within_the_limit_and_says_what_is_cut(name: str, formatter: JsonFormatter) -> None:
    message, extra = LONG[name]
    text = formatter.format(record(message, **extra))
    assert len(text.encode()) < LIMIT
    assert "[cut]" in text
    found = strict_json(text.replace("\n", ""))
    assert found.get("level", found.get("levelname", "INFO")) == "INFO"
    assert found.get("request_id", None) is None


def test_limit_is_a_setting_and_short_fields_stay_whole() -> None:
    formatter = JsonFormatter(settings=Settings(log_line_bytes=1024))
    found = line("x" * 5000, order=7, tenant="acme", formatter=formatter)
    assert (found["order"], found["tenant"], found["logger"]) == (7, "acme", "shop")
    assert found["message"].endswith("…[cut]")
    assert len(found["message"]) > 500


def test_long_text_of_an_exception_is_there_once_and_the_end_of_its_stack_stays() -> None:
    found = line("failed", exc_info=raised(ValueError("row " * 1000)))
    exception = found["exception"]
    assert exception["message"] == "row " * 1000
    assert exception["stack"].count("row ") < 100
    assert exception["stack"].rstrip().endswith("…[cut]")
    assert "in raised" in exception["stack"]


def test_exception_that_traceback_cannot_format_keeps_its_line() -> None:
    error = SyntaxError("no such tag")
    error.filename, error.lineno, error.offset, error.text = "page.tpl", 3, 4, b"{% x %}"  # type: ignore[assignment]
    found = line("could not render", template="page", exc_info=raised(error))
    assert (found["message"], found["template"], found["exception"]["type"]) == (
        "could not render",
        "page",
        "SyntaxError",
    )
    assert "in raised" in found["exception"]["stack"]


def test_access_line_of_a_hostile_path_is_within_the_limit_too() -> None:
    from obs_middleware.logs.access_line import AccessLine
    from obs_middleware.redaction import Redactor
    from tests.core.support import observer, request, started

    exchange = started(observer(), request(path="/" + "\x00" * 5000))
    exchange.status = 200
    exchange.finish()
    own = AccessLine(JsonFormatter(settings=Settings()), Redactor(), "INFO")
    assert len(own.line(exchange.record())) > LIMIT
    short = own.short_line(exchange.record())
    assert len(short) <= LIMIT
    assert strict_json(short.decode().rstrip("\n"))["status"] == 200


def test_caller_is_named_for_warnings_unless_it_is_set_otherwise() -> None:
    always = JsonFormatter(settings=Settings(log_caller="always"))
    assert "code.file.path" not in line("paid")
    found = line("paid", formatter=always)
    assert (found["code.file.path"], found["code.line.number"]) == ("shop.py", 7)


def test_our_fields_can_have_other_names_and_an_extra_takes_none_of_them() -> None:
    renamed = JsonFormatter(settings=Settings(log_rename_fields=("level=severity", "message=msg")))
    found = line("paid", formatter=renamed, severity="mine")
    assert (found["severity"], found["msg"], found["field_severity"]) == ("INFO", "paid", "mine")
    assert "level" not in found
    assert "message" not in found


def test_mark_of_what_was_left_out_is_within_the_limit_too() -> None:
    formatter = JsonFormatter(settings=Settings(log_line_bytes=1024))
    for count in range(80, 120):
        ids = dict.fromkeys(("request_id", "correlation_id", "trace_id", "span_id"), "0" * 36)
        made = record("x", **ids, **{f"k{number}": number for number in range(count)})
        assert len(formatter.format(made).encode()) < 1024


@pytest.mark.parametrize(
    "extras",
    [
        {f"row{number:05}": number for number in range(1500)},
        {f"row{number}": "x" * 99 for number in range(900)},
    ],
    ids=["short ones", "long ones"],
)
def test_exception_ids_and_time_stay_where_very_many_extras_are_left_out(extras: dict[str, Any]) -> None:
    with started(observer()) as exchange:
        found = line("failed", exc_info=raised(ValueError("sold out")), **extras)
    assert (found["exception"]["type"], found["exception"]["message"]) == ("ValueError", "sold out")
    assert (found["request_id"], found["trace_id"]) == (exchange.request_id, exchange.trace_id)
    assert found["timestamp"].endswith("Z")
    assert found["…[cut]"] > 100


def size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def test_first_item_of_a_list_is_cut_rather_than_left_out() -> None:
    (only,) = line(rows=["z" * 20_000])["rows"]
    assert only.startswith("z" * 1000)
    assert only.endswith("…[cut]")
    first, mark = line(rows=["z" * 20_000, "y"])["rows"]
    assert (first[:3], first[-6:], mark) == ("zzz", "…[cut]", "1 more …[cut]")


def test_first_item_of_a_list_stays_whole_where_it_fits_to_the_byte() -> None:
    rows = ["z" * 60, "y" * 90]
    found = {limit: shortened({"rows": rows}, limit, size)["rows"] for limit in range(90, 170)}
    assert max(size({"rows": value}) - limit for limit, value in found.items()) <= 0
    firsts = [value[0] for value in found.values() if len(value) == 2]
    assert firsts == sorted(firsts, key=len)
    assert firsts[-1] == rows[0]


def test_value_that_cannot_be_cut_gives_way_to_the_mark() -> None:
    assert shortened({"total": 10**200, "of": "shop"}, 100, size) == {"total": "…[cut]", "of": "shop"}
