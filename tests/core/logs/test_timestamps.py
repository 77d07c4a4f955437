"""Timestamps as RFC 3339 has them, whatever was written before."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.logs.timestamps import Timestamps


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.123, "2026-01-31T12:00:00.123Z"),
        (1_769_860_800.9999, "2026-01-31T12:00:00.999Z"),
        (4_102_444_800.0, "2100-01-01T00:00:00.000Z"),
    ],
)
def test_timestamp_is_utc_to_the_millisecond(seconds: float, text: str) -> None:
    assert Timestamps().text(seconds) == text


@given(st.lists(st.integers(0, 4_000_000_000_000), max_size=20))
def test_timestamp_does_not_depend_on_the_one_before(milliseconds: list[int]) -> None:
    timestamps = Timestamps()
    for number in milliseconds:
        wanted = datetime.fromtimestamp(number // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        assert timestamps.text(number / 1000) == f"{wanted}.{number % 1000:03d}Z"
