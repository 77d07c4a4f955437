"""The access line that waits says what its LogRecord would say, whatever is in the RequestRecord."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import RequestRecord, Settings
from obs_middleware.details import Details
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.access_line import AccessLine, log_record
from obs_middleware.logs.access_log import AccessLog
from obs_middleware.logs.fields import IDS
from obs_middleware.record import detailed
from obs_middleware.redaction import Redactor
from tests.core.logs.support import Raising
from tests.core.support import Output, observer, request, serve, strict_json

_NASTY = st.sampled_from(
    ['"', "\\", "\n", "\x7f", "\u2028", "\ud800", "é", "token=hunter22", "a@example.org"]
)
_TEXTS = st.lists(_NASTY | st.text(max_size=8), max_size=6).map("".join)
_SECONDS = st.floats(0, 1e5)
_REDACTOR = Redactor()
_FORMATTER = JsonFormatter(settings=Settings(service_name="caf\u00e9"))
_ASCII_FORMATTER = JsonFormatter(settings=Settings(service_name="caf\u00e9"), is_ascii=True)
_LINE = AccessLine(_FORMATTER, _REDACTOR, "INFO")
_ASCII_LINE = AccessLine(_ASCII_FORMATTER, _REDACTOR, "INFO")

_RECORDS = st.builds(
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
)


def written(record: RequestRecord, line: AccessLine = _LINE) -> dict[str, Any]:
    """Return the line of a record, read as strict JSON."""
    text, _, rest = line.line(record).decode().partition("\n")
    assert not rest
    return strict_json(text)


@given(_RECORDS, st.sampled_from([(_LINE, _FORMATTER), (_ASCII_LINE, _ASCII_FORMATTER)]))
def test_line_says_what_its_log_record_would(
    record: RequestRecord, way: tuple[AccessLine, JsonFormatter]
) -> None:
    line, formatter = way
    wanted = strict_json(formatter.format(log_record(record, _REDACTOR, logging.INFO, None)))
    found = written(record, line)
    assert list(found) == list(wanted)
    for name in ("duration_ms", "ttfb_ms"):  # both to three digits, a half up or down
        assert found.pop(name) == pytest.approx(wanted.pop(name), abs=0.0011)
    # A LogRecord's message is looked through once more, path and all.
    assert _REDACTOR.text(found.pop("message")) == wanted.pop("message")
    assert found == wanted
    assert line.line(record).isascii() or line is _LINE


_NAMES = st.sampled_from(
    [
        "user_id",
        "password",
        "status",
        "name",
        "service",
        "message",
        "tenant",
        "db_ms",
        "kind",
        "wo rd",
        "\u00e9",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.binary(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_RENAMED = JsonFormatter(settings=Settings(log_rename_fields=("user_id=user", "message=msg", "status=code")))


@given(
    _RECORDS,
    st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4),
    st.sampled_from([(None, 0), ("acme", 0), (None, 3), ("acme", 1)]),
    st.sampled_from([_FORMATTER, _ASCII_FORMATTER, _RENAMED]),
)
def test_line_with_bound_fields_says_what_its_log_record_would(
    record: RequestRecord, fields: dict[str, Any], known: tuple[str | None, int], formatter: JsonFormatter
) -> None:
    details = Details()
    details.tenant, details.db_queries = known
    own = detailed(record, details, labels=(), bound=AccessLog(_REDACTOR).bound(fields))
    line = AccessLine(formatter, _REDACTOR, "INFO")
    exchange: Any = SimpleNamespace(**dict.fromkeys(IDS), fields=fields, details=details)
    wanted = strict_json(formatter.format(log_record(own, _REDACTOR, logging.INFO, exchange)))
    found = written(own, line)
    later = strict_json(formatter.format(log_record(own, _REDACTOR, logging.INFO, None)))
    assert list(found) == list(wanted) == list(later)
    values = [[*one.values()] for one in (found, wanted, later)]
    bound = len(fields)
    assert values[0][-bound:] == values[1][-bound:] == values[2][-bound:]


_ORDINARY = RequestRecord(
    active_key="GET http",
    method="GET",
    path="/items/7",
    route="/items/{i}",
    status=200,
    outcome="ok",
    error_type="",
    duration=0.0123,
    time_to_first_byte=0.01,
    request_bytes=3,
    response_bytes=5,
    request_id="r-1",
    correlation_id="c-1",
    ids="4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7",
    is_sampled=False,
    client="192.0.2.1",
    user_agent="curl/8",
    ended=1_769_860_800.123,
)


def test_line_is_this_text() -> None:
    line = AccessLine(JsonFormatter(settings=Settings(service_name="shop")), _REDACTOR, "INFO")
    text = line.line(_ORDINARY).decode()
    hostname = strict_json(text.rstrip("\n"))["hostname"]
    assert text == (
        '{"timestamp":"2026-01-31T12:00:00.123Z","level":"INFO","logger":"obs.access",'
        '"message":"GET /items/7 200","service":"shop","environment":"production",'
        f'"hostname":"{hostname}","request_id":"r-1","correlation_id":"c-1",'
        '"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7",'
        '"method":"GET","path":"/items/7","route":"/items/{i}","status":200,"outcome":"ok",'
        '"duration_ms":12.300,"ttfb_ms":10.000,"request_bytes":3,"response_bytes":5,'
        '"client":"192.0.2.1","user_agent":"curl/8","error_type":null}\n'
    )


_ODD = ["lots", '"', "token=hunter22", math.nan, math.inf, 1.5, True, None, b"7", ["x"], {}, Raising()]
_IDS = ("request_id", "correlation_id", "ids")  # a text is checked where it is taken from the request


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (attribute, value)
        for attribute in RequestRecord.__struct_fields__
        for value in _ODD
        if not (attribute in _IDS and isinstance(value, str))
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_line_is_json_whatever_the_app_has_set(attribute: str, value: Any) -> None:
    record = msgspec.structs.replace(_ORDINARY, **{attribute: value})
    found = written(record)
    assert found["logger"] == "obs.access"
    assert "hunter22" not in str(found)
    if attribute != "ended":
        others = {"method", "path", "status", "route", "request_bytes", "client", "error_type"} - {attribute}
        assert {name: found[name] for name in others} == {name: written(_ORDINARY)[name] for name in others}
    assert written(_ORDINARY)["status"] == 200


@pytest.mark.parametrize("attribute", ["request_id", "correlation_id"])
def test_id_that_is_no_valid_text_costs_no_line(attribute: str) -> None:
    found = written(msgspec.structs.replace(_ORDINARY, **{attribute: "r\ud800"}))
    assert (found[attribute], found["message"]) == ("r\\ud800", "GET /items/7 200")


@pytest.mark.parametrize("attribute", ["path", "route", "client", "user_agent"])
def test_texts_that_clients_make_up_do_not_fill_the_memory(attribute: str) -> None:
    line = AccessLine(_FORMATTER, _REDACTOR, "INFO")
    for number in range(2000):
        value = "x" * 300 + str(number) if number % 2 else f"/{number}"
        line.line(msgspec.structs.replace(_ORDINARY, **{attribute: value}))
    remembered = [step[3] for step in line.plan if step[3] is not None]
    assert all(len(texts) <= 256 for texts in remembered)
    assert all(len(key) <= 256 for texts in remembered for key in texts if isinstance(key, str))


@pytest.mark.parametrize("peer", [(b"x", 1), (127, 1), (None, None), (object(), 1)])
def test_address_that_is_no_text_costs_no_other_line(peer: Any, output: Output) -> None:
    own = observer()
    serve(own)
    serve(own, request(peer=peer))
    serve(own)
    own.close()
    assert output.messages() == ["GET /items/7 200"] * 3
