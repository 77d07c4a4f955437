"""Secrets in structured extras: a key is a key, a pair of a name and its value too, and a card's number is no count."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import json
import logging
from collections import UserDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

from obs_middleware import Settings
from obs_middleware.logs import JsonFormatter, RedactingFilter
from tests.core.redaction.hiding import CARD, SECRET

_formatter = JsonFormatter(settings=Settings())
Pair = namedtuple("Pair", "name value")


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Kind(enum.Enum):
    ONE = f"password={SECRET}"


def shown(value: Any, name: str = "detail") -> Any:
    return json.loads(_formatter.format(logging.makeLogRecord({"msg": "seen", name: value})))[name]


SHAPES: dict[str, Any] = {
    "object of JSON": {"password": SECRET},
    "keys of bytes": {b"password": SECRET},
    "pair": ("password", SECRET),
    "list of pairs": [("host", "x"), ("authorization", SECRET)],
    "pairs of bytes": [(b"x-api-key", SECRET.encode())],
    "list of lists": [["authorization", SECRET]],
    "named tuple": Pair("password", SECRET),
    "triple": [("header", "password", SECRET)],
    "HAR": [{"name": "Authorization", "value": SECRET}],
    "HAR with more fields": [{"name": "Cookie", "value": SECRET, "comment": ""}],
    "Kubernetes": [{"name": "DB_PASSWORD", "value": SECRET}],
    "key and value": [{"key": "password", "value": SECRET}],
    "capitals": [{"Key": "ApiKey", "Value": SECRET}],
    "longer names": [{"ParameterKey": "DbPassword", "ParameterValue": SECRET}],
    "header and value": {"header": "X-Auth-Token", "value": SECRET},
    "dataclass": Login("jane", SECRET),
    "objects in a list": [Login("jane", SECRET)],
    "namespace": SimpleNamespace(password=SECRET),
    "mapping": UserDict(password=SECRET),
    "enum": Kind.ONE,
    "exception": ValueError(f"password={SECRET}"),
    "exception of two arguments": ValueError("password", SECRET),
    "exception of a plain word": ValueError("password", "swordfish"),
    "suffix": {"token2": SECRET, "secret_value": SECRET, "API_KEY_LIVE": SECRET},
    "nested": {"a": [{"b": {"clientSecret": SECRET}}]},
    "text inside": {"a": f"login password={SECRET}"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_secret_is_hidden_in_every_shape(shape: str) -> None:
    assert SECRET not in str(shown(SHAPES[shape]))
    assert "swordfish" not in str(shown(SHAPES[shape]))


@pytest.mark.parametrize("shape", SHAPES)
def test_filter_for_handlers_of_others_hides_it_too(shape: str) -> None:
    record = logging.makeLogRecord({"msg": "seen", "detail": SHAPES[shape]})
    RedactingFilter(Settings()).filter(record)
    assert SECRET not in str(vars(record)["detail"])


NUMBER = int(CARD)


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        float(NUMBER),
        decimal.Decimal(NUMBER),
        [NUMBER],
        {"a": NUMBER},
        {"number": CARD},
        f"{float(NUMBER)}",
    ],
)
def test_number_of_a_card_is_hidden_in_every_type(value: Any) -> None:
    assert CARD not in str(shown(value)).replace("_", "")


@pytest.mark.parametrize(
    "value",
    [
        {"tokens": 512, "max_tokens": 4096},
        {"token_count": 3, "password_changed_at": "2026-01-31"},
        {"name_of_event": "order.paid"},
        {"secret_name": "db-credentials", "secretRef": "shop"},
        [["status", 200], ["path", "/a"]],
        [{"key": "size", "value": "XL"}],
        {"fields": ["username", "password", "email"]},
        1700000000000,
        4111111111111112,
        1.5,
        True,
        None,
    ],
)
def test_harmless_values_stay_as_they_are(value: Any) -> None:
    assert shown(value) == value
