"""Any value becomes JSON: no cycle, no NaN, no size without bound."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import logging
import math
import pathlib
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import Settings
from obs_middleware.logs import PrettyFormatter
from tests.core.logs.support import IDS, Raising, cycle, json_formatter, line, record
from tests.core.support import strict_json


class Colour(enum.Enum):
    RED = "red"
    ODD = object


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


@pytest.mark.parametrize(("value", "wanted"), VALUES, ids=lambda value: type(value).__name__)
def test_any_value_is_written_as_json(value: Any, wanted: Any) -> None:
    assert line(order=value)["order"] == wanted


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
def test_any_record_is_a_line_for_people_too(value: Any) -> None:
    text = PrettyFormatter(settings=Settings(), has_colour=False).format(
        record("paid %s", value, order=value)
    )
    assert "paid" in text
