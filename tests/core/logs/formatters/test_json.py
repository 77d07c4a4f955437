"""The formatters: one record is one line, whatever is in it; strict JSON, no secret, never an exception."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import logging
import math
import pathlib
import re
import sys
import uuid
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import Settings, bind
from obs_middleware.logs import JsonFormatter, PrettyFormatter
from tests.core.support import observer, request, started, strict_json

SECRET = "hunter2x"
IDS = ("request_id", "correlation_id", "trace_id", "span_id")


@cache
def json_formatter() -> JsonFormatter:
    return JsonFormatter(settings=Settings(service_name="shop", service_version="1.2"))


def record(msg: object = "paid", *args: object, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 7, msg, args, exc_info, extra=extra
    )


def line(
    msg: object = "paid", *args: object, formatter: JsonFormatter | None = None, **extra: Any
) -> dict[str, Any]:
    return strict_json((formatter or json_formatter()).format(record(msg, *args, **extra)))


def theirs(key: str) -> dict[str, Any]:
    return {key: "theirs"}


def raised(error: BaseException) -> tuple[Any, Any, Any]:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


# Keys


def test_line_has_its_keys_first_and_its_extras_after_them() -> None:
    found = line("paid %s", "order", order=42)
    assert list(found) == [
        "timestamp",
        "level",
        "logger",
        "message",
        "service",
        "environment",
        "version",
        "hostname",
        *IDS,
        "order",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timestamp"])
    assert [
        found[key] for key in ("level", "logger", "message", "service", "version", "environment", "order")
    ] == [
        "INFO",
        "shop",
        "paid order",
        "shop",
        "1.2",
        "production",
        42,
    ]


def test_timestamp_is_when_the_record_was_made_in_utc() -> None:
    made = record()
    made.created = 1_769_860_800.123
    assert strict_json(json_formatter().format(made))["timestamp"] == "2026-01-31T12:00:00.123Z"


def test_line_outside_a_request_has_its_ids_all_the_same() -> None:
    assert [line()[key] for key in IDS] == [None] * 4


def test_line_in_a_request_has_its_ids_and_bound_fields() -> None:
    with started(observer(), request(headers={"x-request-id": "r-1", "x-correlation-id": "c-1"})) as exchange:
        bind(tenant="acme", password=SECRET)
        found = line()
    assert [found[key] for key in IDS] == ["r-1", "c-1", exchange.trace_id, exchange.span_id]
    assert (found["tenant"], found["password"]) == ("acme", "REDACTED")


def test_environment_is_the_settings_or_the_one_given() -> None:
    assert line(formatter=JsonFormatter(settings=Settings(environment="staging")))["environment"] == "staging"
    assert (
        line(formatter=JsonFormatter(settings=Settings(), environment="development"))["environment"]
        == "development"
    )


def test_formatter_of_a_logging_config_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_SERVICE_NAME", "named")
    assert line(formatter=JsonFormatter())["service"] == "named"


# Values


class Colour(enum.Enum):
    RED = "red"
    ODD = object


@dataclasses.dataclass
class User:
    name: str
    password: str


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class RaisingMapping(collections.UserDict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


class RaisingClass:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("no")


class BigString(str):
    def __str__(self) -> str:
        raise RuntimeError("no")


def cycle() -> list[Any]:
    inner: dict[str, Any] = {"a": 1}
    outer = [inner]
    inner["outer"] = outer
    return outer


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    return value


UUID = uuid.UUID(int=7)
VALUES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (1, 1),
    (-(2**62), -(2**62)),
    (1.5, 1.5),
    (math.nan, "nan"),
    (math.inf, "inf"),
    (-math.inf, "-inf"),
    ('é\n\r\t"\\', 'é\n\r\t"\\'),
    (b"caf\xc3\xa9 \xff", "café \\xff"),
    (bytearray(b"ab"), "ab"),
    (memoryview(b"ab"), "ab"),
    ((1, "a"), [1, "a"]),
    ([1, [2, {"a": None}]], [1, [2, {"a": None}]]),
    ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
    ({(1, 2): 3, None: 4, 5: 6}, {"(1, 2)": 3, "None": 4, "5": 6}),
    ({7}, [7]),
    (frozenset({7}), [7]),
    (Colour.RED, "red"),
    (logging.INFO, 20),
    (datetime.date(2026, 1, 31), "2026-01-31"),
    (datetime.timedelta(seconds=1), "0:00:01"),
    (decimal.Decimal("NaN"), "NaN"),
    (decimal.Decimal("1.10"), "1.10"),
    (UUID, str(UUID)),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    ("a\ud800b", "a\\ud800b"),
    (Raising(), "<Raising that can't be shown>"),
    (RaisingMapping(a=1), "<RaisingMapping that can't be shown>"),
    (BigString("a"), "<BigString that can't be shown>"),
    ([1, Raising()], [1, "<Raising that can't be shown>"]),
    (SimpleNamespace(a=1), "namespace(a=1)"),
    (collections.Counter("a"), {"a": 1}),
]


@pytest.mark.parametrize(("value", "shown"), VALUES, ids=lambda value: type(value).__name__)
def test_any_value_is_shown_as_plain_json(value: Any, shown: Any) -> None:
    assert line(order=value)["order"] == shown


@pytest.mark.parametrize(
    "make",
    [
        cycle,
        deep,
        lambda: 10**5000,
        lambda: -(10**5000),
        lambda: 2**63,
        lambda: "x" * 10_000_000,
        lambda: b"x" * 10_000_000,
        lambda: ["x" * 1000] * 100_000,
        RaisingClass,
    ],
)
def test_value_without_end_is_cut(make: Any) -> None:
    text = json_formatter().format(record(order=make()))
    assert strict_json(text)["message"] == "paid"
    assert len(text) < 200_000


def test_deep_value_is_cut_at_its_eighth_level() -> None:
    value: Any = "bottom"
    for _ in range(8):
        value = [value]
    assert "bottom" in str(line(order=value)["order"])
    assert str(line(order=[value])["order"]) == "[" * 8 + "'…[cut]'" + "]" * 8


def test_wide_value_says_how_much_was_left_out() -> None:
    assert line(order=list(range(200)))["order"][-2:] == [127, "72 more …[cut]"]
    assert line(order={str(n): n for n in range(200)})["order"]["…[cut]"] == 72


def test_line_has_a_limit_however_many_values_it_has() -> None:
    text = json_formatter().format(
        record("x" * 20_000, **{f"k{number}": "y" * 20_000 for number in range(50)})
    )
    assert strict_json(text)
    assert len(text) < 100_000


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Cc", "Lu"])),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.builds(Raising),
    st.builds(RaisingMapping, a=st.integers()),
    st.just(Colour.RED),
    st.just(object),
    st.complex_numbers(),
)
keys = st.one_of(
    st.text(), st.integers(), st.none(), st.binary(), st.tuples(st.integers(), st.text()), st.floats()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(keys, inner), st.tuples(inner, inner)),
    max_leaves=20,
)


@given(
    values,
    values,
    st.dictionaries(
        st.text().filter(lambda key: key not in ("message", "asctime") and key not in vars(record())), values
    ),
)
def test_any_record_is_one_line_of_strict_json(msg: Any, arg: Any, extra: dict[str, Any]) -> None:
    for args in ((), (arg,), (arg, arg)):
        found = strict_json(json_formatter().format(record(msg, *args, **extra)))
        assert {"timestamp", "level", "logger", "message", *IDS} <= found.keys()
        assert "can't be formatted" not in found["message"]


@given(values)
def test_any_record_is_told_to_people_too(value: Any) -> None:
    text = PrettyFormatter(settings=Settings(), has_colour=False).format(
        record("paid %s", value, order=value)
    )
    assert "paid" in text


# Messages


@pytest.mark.parametrize(
    ("msg", "args", "message"),
    [
        ("%s of %s", ("one",), "'%s of %s' % ('one',)"),
        ("100%", ("x",), "'100%' % ('x',)"),
        ("%d", ("x",), "'%d' % ('x',)"),
        ("100%", (), "100%"),
        ("%(a)s", ({"a": 1},), "1"),
        (42, (), "42"),
        (None, (), "None"),
        (b"bytes", (), "b'bytes'"),
        ("%s", (Raising(),), "'%s' % <tuple that can't be shown>"),
        (Raising(), (), "<Raising that can't be shown> % ()"),
        ("", (), ""),
    ],
)
def test_message_is_told_also_when_its_arguments_do_not_fit(
    msg: object, args: tuple[Any, ...], message: str
) -> None:
    assert line(msg, *args)["message"] == message


def test_message_that_is_a_dict_becomes_fields() -> None:
    found = line({"order": 42, "user": {"password": SECRET}})
    assert (found["order"], found["user"]) == (42, {"password": "REDACTED"})


def test_message_of_a_dict_is_its_message() -> None:
    found = line({"message": "paid", "order": 42})
    assert (found["message"], found["order"]) == ("paid", 42)


# Secrets


@pytest.mark.parametrize(
    "extra",
    [
        {"password": SECRET},
        {"userPassword": [SECRET]},
        {"user": {"Password": SECRET}},
        {"user": [{"api-key": {"value": SECRET}}]},
        {"headers": {"Authorization": f"Bearer {SECRET}", "Cookie": f"a={SECRET}"}},
        {"headers": {b"authorization": f"Bearer {SECRET}".encode()}},
        {"headers": [(b"authorization", f"Bearer {SECRET}".encode())]},
        {"headers": [("x-api-key", SECRET)]},
        {"headers": [(b"cookie", f"a={SECRET}".encode())]},
        {"user": User("jane", SECRET)},
        {"user": {"a": User("jane", SECRET)}},
        {"body": f'{{"password": "{SECRET}"}}'},
        {"body": f"password={SECRET}".encode()},
        {f"password={SECRET}": 1},
        {"a": {f"password={SECRET}": 1}},
        {"a": b"password=" + SECRET.encode()},
        {"url": f"https://a:{SECRET}@b/?token={SECRET}"},
        {"path": pathlib.PurePosixPath(f"/a?token={SECRET}")},
        {"token": SECRET, "field_token": SECRET},
    ],
    ids=str,
)
def test_secret_in_an_extra_is_hidden(extra: dict[str, Any]) -> None:
    assert SECRET not in json_formatter().format(record(**extra))


def test_secret_in_a_message_its_arguments_and_its_misfit_arguments_is_hidden() -> None:
    for msg, args in [
        (f"password={SECRET}", ()),
        ("password=%s", (SECRET,)),
        ("user %s", ({"password": SECRET},)),
        ("%s %s", ({"password": SECRET},)),
        ({"password": SECRET}, ()),
    ]:
        assert SECRET not in json_formatter().format(record(msg, *args))


def test_settings_decide_what_is_hidden() -> None:
    own = JsonFormatter(settings=Settings(redact_pii=False, redact_keys=("iban",)))
    found = line(formatter=own, iban="DE1", email="jane@example.org", password=SECRET)
    assert (found["iban"], found["email"], found["password"]) == ("REDACTED", "jane@example.org", "REDACTED")


# Exceptions


class RaisingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_exception_is_told_with_type_message_and_stack() -> None:
    found = line(exc_info=raised(ValueError(f"bad password={SECRET}")))["exception"]
    assert (found["type"], found["message"]) == ("ValueError", "bad password=REDACTED")
    assert found["stack"].startswith("Traceback (most recent call last):")
    assert SECRET not in found["stack"]


@pytest.mark.parametrize(
    "exc_info",
    [
        raised(RaisingError()),
        raised(ValueError("a\ud800\n")),
        raised(ValueError("x" * 1_000_000)),
        (None, None, None),
        raised(KeyboardInterrupt()),
    ],
    ids=["unprintable", "surrogate", "long", "none", "interrupt"],
)
def test_any_exception_leaves_the_message_whole(exc_info: Any) -> None:
    text = json_formatter().format(record(exc_info=exc_info))
    assert strict_json(text)["message"] == "paid"
    assert len(text) < 50_000


def test_stack_that_was_formatted_elsewhere_is_told_too() -> None:
    made = record()
    made.exc_text, made.stack_info = f"Traceback password={SECRET}", "Stack"
    found = strict_json(json_formatter().format(made))
    assert found["exception"] == {"stack": "Traceback password=REDACTED"}
    assert found["stack_info"] == "Stack"


# Collisions


@pytest.mark.parametrize(
    "key", ["timestamp", "level", "logger", "service", "environment", "version", "hostname"]
)
def test_extra_with_a_key_of_ours_gets_another_and_ours_stays(key: str) -> None:
    found = line(**theirs(key))
    assert found[key] == line()[key] or key == "timestamp"
    assert found[key] != "theirs"
    assert found[f"field_{key}"] == "theirs"


@pytest.mark.parametrize("key", IDS)
def test_id_that_an_extra_brings_is_not_lost(key: str) -> None:
    found = line(**theirs(key))
    assert "theirs" in (found[key], found.get(f"field_{key}"))


def test_ids_that_extras_bring_do_not_cost_the_message() -> None:
    found = line(request_id="theirs", span_id=uuid.UUID(int=1))
    assert found["message"] == "paid"
    assert (
        line(request_id=Raising(), span_id=Raising(), trace_id=object(), correlation_id=cycle())["message"]
        == "paid"
    )


@pytest.mark.parametrize(
    "name", ["name", "msg", "args", "levelname", "message", "asctime", "exc_info", "request_id", "level"]
)
def test_bound_field_with_a_name_of_the_records_is_not_lost_and_changes_no_record(name: str) -> None:
    with started(observer()) as exchange:
        bind(**{name: "bound"})
        found = line("paid %s", "now")
    assert (found["message"], found["logger"], found["level"]) == ("paid now", "shop", "INFO")
    assert found["request_id"] == exchange.request_id
    assert found[f"field_{name}"] == "bound"


class LocalProxy:
    """Flask's `request`, asked outside a request."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("Working outside of request context.")


def test_extra_that_cannot_be_looked_at_does_not_cost_the_message() -> None:
    assert line(request=LocalProxy())["message"] == "paid"


def test_record_that_nobody_thought_of_is_a_line_all_the_same() -> None:
    made = record()
    made.created, made.levelname = math.inf, None  # type: ignore[assignment]
    assert "message" in strict_json(json_formatter().format(made))


def test_service_name_of_no_valid_encoding_costs_no_line() -> None:
    own = JsonFormatter(settings=Settings(service_name="caf\udce9"), environment="\udce9")
    assert line(formatter=own)["message"] == "paid"


# For people


def pretty(msg: object = "paid", *args: object, has_colour: bool = False, **extra: Any) -> str:
    return PrettyFormatter(settings=Settings(service_name="shop"), has_colour=has_colour).format(
        record(msg, *args, **extra)
    )


def test_pretty_line_tells_time_level_logger_message_and_extras() -> None:
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO     shop  paid order  order=42", pretty("paid %s", "order", order=42)
    )


def test_pretty_line_tells_the_request_it_belongs_to_and_no_secret() -> None:
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
