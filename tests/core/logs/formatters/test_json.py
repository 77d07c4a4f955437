"""A record is one line of strict JSON, whatever is in it: no secret, never an exception."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from typing import Any, NamedTuple

import pytest

from obs_middleware import Settings
from obs_middleware.logs import JsonFormatter
from tests.core.logs.support import IDS, SECRET, Raising, json_formatter, line, raised, record, with_extra
from tests.core.support import strict_json

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


def test_environment_is_the_settings_or_the_one_given() -> None:
    assert line(formatter=JsonFormatter(settings=Settings(environment="staging")))["environment"] == "staging"
    assert (
        line(formatter=JsonFormatter(settings=Settings(), environment="development"))["environment"]
        == "development"
    )


def test_formatter_of_a_logging_config_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_SERVICE_NAME", "named")
    assert line(formatter=JsonFormatter())["service"] == "named"


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
def test_message_is_written_also_when_its_arguments_do_not_fit(
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


@dataclasses.dataclass
class User:
    name: str
    password: str


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
    formatter = JsonFormatter(settings=Settings(redact_pii=False, redact_keys=("iban",)))
    found = line(formatter=formatter, iban="DE1", email="jane@example.org", password=SECRET)
    assert (found["iban"], found["email"], found["password"]) == ("REDACTED", "jane@example.org", "REDACTED")


# Exceptions


class RaisingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_exception_has_its_type_message_and_stack() -> None:
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


def test_stack_that_was_formatted_elsewhere_is_written_too() -> None:
    made = record()
    made.exc_text, made.stack_info = f"Traceback password={SECRET}", "Stack"
    found = strict_json(json_formatter().format(made))
    assert found["exception"] == {"stack": "Traceback password=REDACTED"}
    assert found["stack_info"] == "Stack"


# Collisions, and what nobody thought of


@pytest.mark.parametrize(
    "key", ["timestamp", "level", "logger", "service", "environment", "version", "hostname"]
)
def test_extra_with_a_key_of_ours_gets_another_and_ours_stays(key: str) -> None:
    found = line(**with_extra(key))
    assert found[key] == line()[key] or key == "timestamp"
    assert found[key] != "added"
    assert found[f"field_{key}"] == "added"


def test_record_that_nobody_thought_of_is_a_line_all_the_same() -> None:
    made = record()
    made.created, made.levelname = math.inf, None  # type: ignore[assignment]
    assert "message" in strict_json(json_formatter().format(made))


def test_service_name_of_no_valid_encoding_costs_no_line() -> None:
    formatter = JsonFormatter(settings=Settings(service_name="caf\udce9"), environment="\udce9")
    assert line(formatter=formatter)["message"] == "paid"


# Records that were made by hand


@pytest.mark.parametrize("created", [1e20, "yesterday", float("nan")])
def test_record_with_an_odd_time_keeps_its_message_without_secrets(created: Any) -> None:
    made = record(f"paid password={SECRET}")
    made.created = created
    found = strict_json(json_formatter().format(made))
    assert found["message"].startswith("paid password=REDACTED")


def test_exception_by_itself_and_a_stack_that_is_no_text_are_shown() -> None:
    made = record("paid")
    made.exc_info = ValueError("no order")  # type: ignore[assignment]
    made.stack_info = 7  # type: ignore[assignment]
    found = strict_json(json_formatter().format(made))
    assert (found["exception"]["message"], found["stack_info"]) == ("no order", "7")


class Login(NamedTuple):
    user: str
    password: str


def test_secret_of_a_namedtuple_is_hidden_by_its_name() -> None:
    assert line(login=Login("jane", SECRET))["login"] == ["jane", "REDACTED"]


def test_empty_format_of_a_configuration_file_is_none() -> None:
    assert line(formatter=JsonFormatter("", None, "%", settings=Settings()))["logger"] == "shop"
