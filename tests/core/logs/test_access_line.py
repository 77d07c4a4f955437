"""An access line that is put together from ready parts says what the record of the same exchange would."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import Settings
from obs_middleware.logs.access_line import AccessLog
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.record import RequestRecord
from obs_middleware.redaction.redactor import Redactor
from tests.core.support import strict_json

_NASTY = st.sampled_from(
    ['"', "\\", "\n", "\x7f", "\u2028", "\ud800", "é", "token=hunter22", "a@example.org"]
)
_TEXTS = st.lists(_NASTY | st.text(max_size=8), max_size=6).map("".join)
_SECONDS = st.floats(0, 1e5)
_REDACTOR = Redactor()
_LOG, _FORMATTER = AccessLog(_REDACTOR), JsonFormatter(Settings())

_ENTRIES = st.builds(
    RequestRecord,
    active_key=st.none(),
    method=st.sampled_from(["GET", "_OTHER", 'A"B']),
    path=_TEXTS | st.text(min_size=250, max_size=3000),
    route=st.none() | _TEXTS,
    status=st.none() | st.integers(100, 599),
    outcome=st.sampled_from(["ok", "client_disconnect"]),
    error_type=st.just("") | _TEXTS,
    duration=_SECONDS,
    time_to_first_byte=st.none() | _SECONDS,
    request_bytes=st.integers(0, 1 << 70),
    response_bytes=st.integers(0, 1 << 40),
    request_id=st.sampled_from(["0190c0de-0000-7000-8000-000000000000", "a/b:c"]),
    correlation_id=st.just("story-1"),
    ids=st.sampled_from(["", "4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7"]),
    is_sampled=st.booleans(),
    client=st.none() | _TEXTS,
    user_agent=st.none() | _TEXTS | st.text(min_size=250, max_size=300),
    ended=st.floats(0, 4e9),
    is_line_due=st.just(True),
)


@given(st.lists(_ENTRIES, max_size=4))
def test_a_line_is_that_of_the_record(entries: list[RequestRecord]) -> None:
    records: list[Any] = [_LOG._record(entry, logging.INFO, None) for entry in entries]
    wanted = [strict_json(_FORMATTER.format(record)) for record in records]
    *lines, rest = b"".join(_LOG._pieces(entries, _FORMATTER)).decode().split("\n")
    assert not rest
    found = [strict_json(line) for line in lines]
    for one, other in zip(found, wanted, strict=True):
        for name in ("duration_ms", "ttfb_ms"):  # both to three digits, a half up or down
            assert one.pop(name) == pytest.approx(other.pop(name), abs=0.0011)
        # A record's message is looked through once more, path and all.
        assert _REDACTOR.text(one.pop("message")) == other.pop("message")
    assert found == wanted
    assert not any(entry.is_line_due for entry in entries)
