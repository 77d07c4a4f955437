"""The options of python-json-logger: a logging config for its formatter works with ours, and gives the same fields."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import json
import logging
import logging.config
import math
import sys
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import Settings, bind
from obs_middleware.logs import JsonFormatter
from tests.core.support import observer, request, started, strict_json

SECRET = "hunter2x"
IDS = ["request_id", "correlation_id", "trace_id", "span_id"]
STATIC = ["service", "environment", "hostname"]
THEIRS = "pythonjsonlogger.json.JsonFormatter"
OURS = "obs_middleware.logs.JsonFormatter"


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Basket:
    items: list[str]
    total: int


class DecimalsAsText(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        return f"encoded {type(o).__name__}"


def as_type_name(value: Any) -> str:
    return type(value).__name__


def refuses_all(value: Any) -> Any:
    raise TypeError(value)


# Each as the formatter's entry of a logging config, without the line that names the class.
CONFIGS: dict[str, dict[str, Any]] = {
    "percent": {"fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    "format": {"format": "%(levelname)s %(message)s"},
    "braces": {"fmt": "{levelname} {message} {lineno}", "style": "{"},
    "dollars": {"fmt": "${levelname} ${message}", "style": "$"},
    "commas": {"fmt": "levelname, message,funcName", "style": ","},
    "list": {"fmt": ["asctime", "levelname", "message", "exc_info"]},
    "tuple": {"fmt": ("message", "process", "threadName", "module")},
    "of no record": {"fmt": ["message", "absent"]},
    "datefmt": {"fmt": "%(asctime)s %(message)s", "datefmt": "%Y-%m-%dT%H:%M:%S"},
    "datefmt alone": {"datefmt": "%Y"},
    "rename": {
        "fmt": ["levelname", "name", "message"],
        "rename_fields": {"levelname": "severity", "name": "logger", "order": "order_id"},
    },
    "rename IDs and static fields": {
        "fmt": ["message"],
        "rename_fields": {"message": "msg", "trace_id": "dd.trace_id", "service": "dd.service"},
    },
    "keep missing": {
        "fmt": ["message"],
        "rename_fields": {"absent": "still_here", "message": "m"},
        "rename_fields_keep_missing": True,
    },
    "static": {"fmt": ["message"], "static_fields": {"team": "checkout", "region": {"zone": "eu"}}},
    "static of a name of ours": {"fmt": ["message"], "static_fields": {"service": "billing"}},
    "defaults": {"fmt": ["message"], "defaults": {"order": 0, "tenant": "none"}},
    "prefix": {"fmt": ["message"], "prefix": "@cee: "},
    "timestamp": {"fmt": ["message"], "timestamp": True},
    "named timestamp": {"timestamp": "@timestamp", "rename_fields": {"@timestamp": "when"}},
    "reserved": {"fmt": ["message"], "reserved_attrs": ["msg", "args", "exc_info", "order"]},
    "nothing reserved": {"reserved_attrs": []},
    "not ascii": {"json_ensure_ascii": False},
    "default": {"fmt": ["message"], "json_default": as_type_name},
    "encoder": {"fmt": ["message"], "json_encoder": DecimalsAsText},
    "indent": {"fmt": ["message"], "json_indent": 2},
    "arrays": {"fmt": ["message"], "exc_info_as_array": True, "stack_info_as_array": True},
    "validate": {"fmt": "%(message)s", "validate": False},
}


def formatter_of(named: Mapping[str, Any]) -> logging.Formatter:
    """Make a formatter as `logging.config.dictConfig` does."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": dict(named)},
        "handlers": {"caught": {"class": "tests.core.support.Caught", "formatter": "json"}},
        "loggers": {"shop": {"handlers": ["caught"], "level": "INFO", "propagate": False}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger("shop")
    (handler,) = logger.handlers
    logger.removeHandler(handler)
    logger.propagate = True
    assert handler.formatter is not None
    return handler.formatter


def record(msg: object, *args: object, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 7, msg, args, exc_info, "pay", extra, None
    )
    made.created = 1_769_860_800.123
    return made


def raised(error: BaseException) -> Any:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


def with_stack() -> logging.LogRecord:
    made = record("paid")
    made.stack_info = "Stack (most recent call last):\n  File x"
    return made


RECORDS: dict[str, logging.LogRecord] = {
    "text": record("paid %s of %d", "order", 42),
    "extras": record("paid", order=42, tags=["a", {"b": None}], ratio=0.5, city="Zürich"),
    "objects": record(
        "paid",
        at=datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc),
        day=datetime.date(2026, 1, 31),
        id=uuid.UUID(int=7),
        colour=Colour.RED,
        body=b"caf\xc3\xa9",
        basket=Basket(["tea"], 3),
        kind=ValueError,
        failure=ValueError("boom"),
        seen={7},
    ),
    "fields": record({"order": 42, "nested": {"kept": "yes"}}),
    "fields with a message": record({"message": "paid", "order": 42}),
    "exception": record("failed", exc_info=raised(ValueError("boom"))),
    "no exception": record("failed", exc_info=(None, None, None)),
    "stack": with_stack(),
}


def read(text: str, prefix: str = "") -> dict[str, Any]:
    assert text.startswith(prefix)
    found: dict[str, Any] = json.loads(text.removeprefix(prefix), parse_constant=refuses_all)
    return found


@pytest.mark.parametrize("made", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_line_has_the_fields_that_python_json_logger_would_give_then_ours(
    config: dict[str, Any], made: logging.LogRecord
) -> None:
    prefix = config.get("prefix", "")
    line = formatter_of({"()": OURS, **config}).format(copy.copy(made))
    wanted_line = formatter_of({"()": THEIRS, **config}).format(copy.copy(made))
    wanted = read(wanted_line, prefix)
    found = read(line, prefix)
    renamed = config.get("rename_fields", {})
    static = [renamed.get(name, name) for name in STATIC]
    names = [renamed.get(name, name) for name in IDS]
    order = [name for name in found if name not in [*names, *static] or name in wanted]
    assert order == list(wanted)
    assert {name: found[name] for name in wanted} == wanted
    assert [name for name in found if name not in wanted] == [
        name for name in [*names, *static] if name not in wanted
    ]
    assert line.isascii() == wanted_line.isascii()
    assert ("\n" in line) == ("\n" in wanted_line)


@pytest.mark.parametrize("named", [{"class": OURS}, {"class": OURS, "validate": True}])
def test_class_of_a_logging_config_takes_format_and_datefmt(named: dict[str, Any]) -> None:
    made = record("paid")
    formatter = formatter_of({**named, "format": "%(asctime)s %(message)s", "datefmt": "%Y"})
    assert list(read(formatter.format(made)))[:2] == ["asctime", "message"]


def test_without_an_option_the_line_is_ours() -> None:
    for named in ({"()": OURS}, {"class": OURS}):
        found = read(formatter_of(named).format(record("paid")))
        assert list(found)[:4] == ["timestamp", "level", "logger", "message"]


def test_option_that_python_json_logger_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unable to configure"):
        formatter_of({"()": OURS, "rename": {}})


def test_line_in_a_request_has_its_ids_and_bound_fields() -> None:
    formatter = JsonFormatter(
        ["trace_id", "message"], rename_fields={"request_id": "rid"}, settings=Settings()
    )
    with started(observer(), request(headers={"x-request-id": "r-1"})) as exchange:
        bind(tenant="acme", password=SECRET)
        found = read(formatter.format(record("paid")))
    assert list(found)[:2] == ["trace_id", "message"]
    assert (found["trace_id"], found["rid"], found["tenant"]) == (exchange.trace_id, "r-1", "acme")
    assert found["password"] == "REDACTED"


def test_settings_environment_and_ascii_are_keywords_besides_the_options() -> None:
    formatter = JsonFormatter(
        "%(message)s",
        json_ensure_ascii=False,
        settings=Settings(service_name="café", service_version="1.2"),
        environment="staging",
        is_ascii=True,
    )
    text = formatter.format(record("naïve"))
    found = read(text)
    assert text.isascii()
    assert [found[name] for name in ("message", "service", "environment", "version")] == [
        "naïve",
        "café",
        "staging",
        "1.2",
    ]


# Secrets


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize(
    "made",
    [
        record(f"password={SECRET}"),
        record("password=%s", SECRET),
        record("%s", {"password": SECRET}),
        record({"password": SECRET, "nested": [{"api_key": SECRET}]}),
        record("paid", password=SECRET, order={"token": SECRET}, note=f"token={SECRET}"),
        record("paid", headers=[("authorization", SECRET)], body=f"password={SECRET}".encode()),
        record("paid", basket=Basket([f"token={SECRET}"], 1), failure=ValueError(f"password={SECRET}")),
        record("failed", exc_info=raised(ValueError(f"password={SECRET}"))),
        record("paid", **{f"password={SECRET}": 1}),
    ],
    ids=["message", "argument", "mapping", "fields", "extras", "pairs", "objects", "exception", "name"],
)
def test_no_option_shows_a_secret(config: dict[str, Any], made: logging.LogRecord) -> None:
    assert SECRET not in formatter_of({"()": OURS, **config}).format(copy.copy(made))


@pytest.mark.parametrize(
    "options",
    [
        {"rename_fields": {"password": "p"}},
        {"static_fields": {"password": SECRET}},
        {"defaults": {"api_key": SECRET}},
        {"fmt": ["password", "message"]},
        {"fmt": ["exc_info", "exc_text", "stack_info"]},
        {"fmt": ["args", "msg"]},
        {"reserved_attrs": [], "exc_info_as_array": True},
    ],
    ids=str,
)
def test_no_secret_gets_out_by_another_name(options: dict[str, Any]) -> None:
    made = record(f"token={SECRET}", password=SECRET, exc_info=raised(ValueError(f"password={SECRET}")))
    made.exc_text, made.stack_info = f"Traceback password={SECRET}", f"Stack password={SECRET}"
    assert SECRET not in JsonFormatter(settings=Settings(), **options).format(made)
    withargs = record("token=%s", SECRET)
    assert SECRET not in JsonFormatter(settings=Settings(), **options).format(withargs)


def test_secret_does_not_hide_in_base_64() -> None:
    formatter = JsonFormatter(["message"], settings=Settings())
    found = read(formatter.format(record("paid", body=f"password={SECRET}".encode(), other=b"tea")))
    assert (found["body"], found["other"]) == ("password=REDACTED", "dGVh")


def test_what_a_subclass_adds_is_without_secrets_too() -> None:
    class Own(JsonFormatter):
        def add_fields(self, log_data: Any, record: Any, message_dict: Any) -> None:
            super().add_fields(log_data, record, message_dict)
            log_data.update(app="shop", password=SECRET)

    found = read(Own(["name", "message"], settings=Settings()).format(record("paid")))
    assert [found[name] for name in ("name", "message", "app", "password")] == [
        "shop",
        "paid",
        "shop",
        "REDACTED",
    ]


def test_subclass_that_overrides_a_hook_gets_it_called_without_an_option_too() -> None:
    class Own(JsonFormatter):
        def process_log_record(self, log_data: Any) -> Any:
            return {**log_data, "app": "shop"}

    assert read(Own(settings=Settings()).format(record("paid")))["app"] == "shop"


# Never an exception, never a lost line


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


scalars = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(st.characters(categories=["Cs", "Cc", "Lu"])),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.builds(Raising),
    st.just(Colour.RED),
    st.just(object),
    st.complex_numbers(),
)
keys = st.one_of(st.text(), st.integers(), st.none(), st.tuples(st.integers(), st.text()))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(keys, inner), st.tuples(inner, inner)),
    max_leaves=10,
)
FORMATTERS = {
    name: JsonFormatter(config.get("fmt", config.get("format")), settings=Settings(), **config)
    for name, config in (
        (name, {key: value for key, value in config.items() if key not in ("fmt", "format", "json_indent")})
        for name, config in CONFIGS.items()
    )
} | {
    "refuses": JsonFormatter(["message"], json_default=refuses_all, settings=Settings()),
    "no encoder": JsonFormatter(["message"], json_encoder=refuses_all, settings=Settings()),
    "no serializer": JsonFormatter(["message"], json_serializer=refuses_all, settings=Settings()),
}


@given(st.sampled_from(sorted(FORMATTERS)), values, values, values)
def test_any_record_is_one_line_of_strict_json(name: str, msg: Any, arg: Any, extra: Any) -> None:
    formatter = FORMATTERS[name]
    for args in ((), (arg,), (arg, arg)):
        text = formatter.format(record(msg, *args, order=extra))
        found = strict_json(text.removeprefix(formatter.prefix))
        assert "service" in found or "dd.service" in found
        assert "can't be formatted" not in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_json_does_not_have_is_a_text(value: float) -> None:
    assert read(JsonFormatter(["message"], settings=Settings()).format(record("x", n=value)))["n"] == str(
        value
    )


@pytest.mark.parametrize(
    "options", [{"json_default": refuses_all}, {"json_encoder": refuses_all}], ids=",".join
)
def test_encoder_that_fails_costs_no_field(options: dict[str, Any]) -> None:
    formatter = JsonFormatter(["name", "message"], timestamp=True, settings=Settings(), **options)
    found = read(formatter.format(record("paid", order=object(), tenant="acme")))
    assert (found["name"], found["message"], found["tenant"]) == ("shop", "paid", "acme")
    assert {"order", "timestamp", "request_id", "service"} <= found.keys()


def test_record_that_nobody_thought_of_is_a_line_all_the_same() -> None:
    made = record("paid")
    made.created = math.inf
    formatter = JsonFormatter(["message"], timestamp=True, prefix="@cee: ", settings=Settings())
    assert "message" in read(formatter.format(made), "@cee: ")


def test_formatter_leaves_the_record_as_it_was_but_for_the_ids() -> None:
    made = record("token=%s", SECRET, password=SECRET)
    before = dict(vars(made))
    JsonFormatter(["asctime", "message"], settings=Settings()).format(made)
    after = dict(vars(made))
    assert {name: after[name] for name in before} == before
    assert {name for name in after if name not in before and not name.startswith("_")} == set(IDS)
