"""Request ID and correlation ID: the caller's where it is safe everywhere, else one that sorts by time."""

from __future__ import annotations

import random
import re
import time
import uuid
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from obs_middleware import ConfigError, Exchange, Observer, outgoing_headers, request_id
from obs_middleware.redaction import Redactor
from tests.core.support import UUID7, observer, request, started

SAFE = "ABCXYZabcxyz0189._~:/+=@-|#;"
# An ID with the form of a mail address or of a card number is none: `test_id_that_is_a_secret_…` has those.
safe_ids = st.text(SAFE, min_size=1, max_size=128).filter(lambda value: Redactor().text(value) == value)


@cache
def own() -> Observer:
    return observer(access_log=False, tracing_enabled=False)


def ids(**headers: str) -> Exchange:
    return started(own(), request(headers={name.replace("_", "-"): value for name, value in headers.items()}))


@given(safe_ids)
def test_safe_id_is_kept_as_it_is(value: str) -> None:
    exchange = ids(x_request_id=value)
    assert exchange.request_id == value
    assert exchange.response_headers == (("X-Request-ID", value), ("X-Correlation-ID", value))


@given(st.one_of(st.text(), safe_ids, st.from_regex(r"[\w.,; -]{1,200}")))
def test_any_text_is_kept_when_safe_and_else_replaced(value: str) -> None:
    is_safe = 1 <= len(value) <= 128 and all(
        char.isascii() and (char.isalnum() or char in SAFE) for char in value
    )
    assume(not is_safe or Redactor().text(value) == value)
    exchange = ids(x_request_id=value, x_correlation_id=value)
    assert (exchange.request_id == value) is is_safe
    for kept in (exchange.request_id, exchange.correlation_id):
        assert kept == value if is_safe else re.fullmatch(UUID7, kept)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a b",
        "a,b",
        "a\r\nSet-Cookie: x=1",
        "a\n",
        "é",
        "٣",
        "a\x00",
        "<script>",
        "x" * 129,
        "x" * 1_000_000,
    ],
)
def test_unsafe_id_is_replaced(value: str) -> None:
    assert re.fullmatch(UUID7, ids(x_request_id=value).request_id)


OF_GATEWAYS = {
    "nginx": "9f86d081884c7d659a2feaa0c55ad015",
    "Envoy": "0fa53fd3-11c9-4ae1-9e39-8b0a3d3f12ab",
    "Kong": "63b1dc6e-2f4a-4a1f-a2c6-2b8f0f8c7f0a#48",
    "Kong's tracker": "10.0.0.7-8000-1420-312-7-1732777200.120",
    "AWS API Gateway": "JKJaXmPLvHcESHA=",
    "AWS load balancer": "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678",
    "Azure": "|4bf92f3577b34da6.a1b2c3d4_1.",
    "Azure Front Door": "0zxV+XAAAAABKMMOjBv2NT4TY6SQVjC0zV1NURURHRTA2MTkANDM3YzgyY2QtMzYwYS00YTU0",
    "Google": "105445aa7843bc8bf206b12000100000/1;o=1",
    "Heroku": "8d0ab9c4-07d4-44c2-8b1e-3f6a6a6b2c11",
    "HAProxy": "C0A80001:B3C4_0A000002:0050_6748F1A0_0001:1F40",
    "Cloudflare": "7d9e3a1c2b4f5a6e-LHR",
    "ASP.NET": "0HMVD33IIJRFR:00000001",
}


@pytest.mark.parametrize("gateway", OF_GATEWAYS)
def test_ids_of_gateways_are_kept(gateway: str) -> None:
    value = OF_GATEWAYS[gateway]
    assert ids(x_request_id=value).response_headers == (("X-Request-ID", value), ("X-Correlation-ID", value))


def test_length_and_punctuation_of_ids_are_settings() -> None:
    strict = observer(request_id_max_length=16, request_id_characters="-", access_log=False)
    loose = observer(request_id_max_length=1024, request_id_characters="{}!-", access_log=False)
    for own, value, is_kept in [
        (strict, "a-" * 8, True),
        (strict, "a-" * 8 + "a", False),
        (strict, "a.b", False),
        (loose, "{63b1dc6e}!", True),
        (loose, "a" * 1024, True),
        (loose, "a" * 1025, False),
        (loose, "a#b", False),
    ]:
        exchange = started(own, request(headers={"x-request-id": value}))
        assert (exchange.request_id == value) is is_kept


@pytest.mark.parametrize("characters", ['"', "\\", ",", " ", "\n", "a", "é", "\x7f"])
def test_punctuation_that_is_not_safe_is_refused(characters: str) -> None:
    with pytest.raises(ConfigError, match="request_id_characters must be ASCII punctuation"):
        observer(request_id_characters=f".{characters}.")


def test_no_id_is_taken_where_callers_are_not_trusted() -> None:
    own = observer(trust_request_ids=False, access_log=False)
    exchange = started(own, request(headers={"x-request-id": "abc", "x-correlation-id": "story-1"}))
    assert re.fullmatch(UUID7, exchange.request_id)
    assert exchange.correlation_id == exchange.request_id
    assert not own.gateway.context_headers & {"x-request-id", "x-correlation-id"}


def test_correlation_id_that_is_not_sent_goes_on_to_others() -> None:
    own = observer(send_correlation_id=False, access_log=False)
    exchange = started(own, request(headers={"x-correlation-id": "story-1"}))
    assert exchange.response_headers == (("X-Request-ID", exchange.request_id),)
    with exchange:
        assert outgoing_headers()["X-Correlation-ID"] == "story-1"


SECRET_IDS = [
    "jane.doe@example.org",
    "jane+shop@mail.example.org",
    "4111111111111111",
    "4111-1111-1111-1111",
    "order:4111111111111111",
    "078-05-1120",
    "+4915112345678",
    "DE89370400440532013000",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3MzUifQ.q1w2e3r4t5y6u7i8o9p0aq",
    "token=hunter2Xq",
    "password:hunter2Xq",
    "AK" + "IAQ7MXW3RT5ZPLK2NB",
    "gh" + "p_" + "a1B2" * 9,
    "https://jane:hunter2Xq@example.org",
]


@pytest.mark.parametrize("value", SECRET_IDS)
def test_id_that_is_a_secret_or_a_personal_datum_is_replaced(value: str) -> None:
    for header in ("x_request_id", "x_correlation_id"):
        exchange = ids(**{header: value})
        assert re.fullmatch(UUID7, exchange.request_id)
        assert re.fullmatch(UUID7, exchange.correlation_id)
        assert value not in str(exchange.response_headers)


@pytest.mark.parametrize(
    "value",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "01HV4Z3K8Q9R2T6Y7W5X1M0NBC",
        "1-67891233-abcdef012345678912345678",
        "Root=1-67891233-abcdef012345678912345678",
        "8a1b2c3d4e5f6789-FRA",
        "req-7f3a9c",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "V1StGXR8_Z5jdHi6B-myT",
        "1700000000123",
        "order/42:retry-3",
        "105445aa7843bc8bf206b12000100000/1:o=1",
        "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    ],
)
def test_id_that_gateways_and_tracers_make_is_kept(value: str) -> None:
    assert ids(x_request_id=value).request_id == value


def test_mail_address_as_id_is_kept_where_personal_data_are_shown() -> None:
    shown = observer(access_log=False, tracing_enabled=False, redact_pii=False)
    exchange = started(shown, request(headers={"x-request-id": "jane.doe@example.org"}))
    assert exchange.request_id == "jane.doe@example.org"


def test_correlation_id_is_the_callers_else_the_request_id() -> None:
    assert ids(x_correlation_id="story-1").correlation_id == "story-1"
    assert ids(x_correlation_id="story-1").request_id != "story-1"
    alone = ids()
    assert alone.correlation_id == alone.request_id


def test_headers_have_the_names_that_were_set() -> None:
    named = observer(request_id_header="X-Trace", correlation_id_header="X-Story", access_log=False)
    exchange = started(named, request(headers={"x-trace": "a", "x-request-id": "b", "x-story": "c"}))
    assert exchange.response_headers == (("X-Trace", "a"), ("X-Story", "c"))


def test_made_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(request_id.new())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_made_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for ms in (0, 1, 255, 256, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda ms=ms: ms * 1_000_000)
        made.append(request_id.new())
    assert made == sorted(made)
    assert all(re.fullmatch(UUID7, value) for value in made)


def test_ten_thousand_made_ids_differ() -> None:
    assert len({request_id.new() for _ in range(10_000)}) == 10_000


def test_random_numbers_of_the_app_are_the_same_with_us_and_do_not_repeat_our_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    state = random.getstate()
    try:
        random.seed(1)
        bare = random.random()
        random.seed(1)
        first = ids()
        assert random.random() == bare
        random.seed(1)
        second = ids()
    finally:
        random.setstate(state)
    assert first.request_id != second.request_id
    assert first.trace_id != second.trace_id
