"""A request as an ASGI scope tells it."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.scope import header_names, request_info

CONTEXT_HEADERS = (b"x-request-id", b"traceparent")


def scope(**others: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], **others}


def test_scope_tells_the_request() -> None:
    info = request_info(
        scope(
            method="POST",
            path="/shop/café",
            query_string=b"a=1",
            scheme="https",
            headers=[(b"x-request-id", b"r-1"), (b"content-type", b"text/plain")],
            client=["192.0.2.1", 50123],
            http_version="1.1",
        ),
        CONTEXT_HEADERS,
    )
    assert (info.method, info.path, info.query, info.scheme) == ("POST", "/shop/café", "a=1", "https")
    assert [info.header(name) for name in ("x-request-id", "content-type", "host")] == [
        "r-1",
        "text/plain",
        None,
    ]
    assert (info.peer, info.http_version) == (("192.0.2.1", 50123), "1.1")
    assert info.has_context_headers
    assert not info.is_websocket


@pytest.mark.parametrize(("scope_type", "scheme"), [("http", "http"), ("websocket", "ws")])
def test_what_a_scope_leaves_out_has_a_default(scope_type: str, scheme: str) -> None:
    info = request_info({"type": scope_type, "method": "GET", "path": "/", "headers": []}, CONTEXT_HEADERS)
    assert (info.method, info.query, info.scheme, info.peer, info.http_version) == (
        "GET",
        "",
        scheme,
        None,
        "",
    )
    assert info.is_websocket == (scope_type == "websocket")
    assert not info.has_context_headers


def test_websocket_is_a_get_though_its_scope_has_no_method() -> None:
    info = request_info({"type": "websocket", "path": "/", "headers": []}, CONTEXT_HEADERS)
    assert info.method == "GET"


def test_fields_of_one_name_are_joined_with_a_comma() -> None:
    headers = [(b"baggage", b"a=1"), (b"host", b"example.org"), (b"baggage", b"b=2"), (b"baggage", b"c=3")]
    info = request_info(scope(headers=headers), CONTEXT_HEADERS)
    assert (info.header("baggage"), info.header("host")) == ("a=1,b=2,c=3", "example.org")


def test_value_of_no_valid_encoding_is_still_text() -> None:
    info = request_info(scope(headers=[(b"user-agent", b"caf\xe9")]), CONTEXT_HEADERS)
    assert info.header("user-agent") == "café"


# Scopes that are not as the specification wants them


def odd_scope(**changes: Any) -> dict[str, Any]:
    """Return a scope of a server with changes; None leaves a key out."""
    whole = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/orders",
        "query_string": b"page=2",
        "headers": [(b"host", b"shop.test"), (b"x-request-id", b"r-1")],
        "client": ("192.0.2.1", 5000),
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


PLAIN = ("POST", "/orders", "page=2", "https", ("192.0.2.1", 5000), "1.1", True, "shop.test")


def facts(given: dict[str, Any]) -> tuple[Any, ...]:
    info = request_info(given, CONTEXT_HEADERS)
    return (
        info.method,
        info.path,
        info.query,
        info.scheme,
        info.peer,
        info.http_version,
        info.has_context_headers,
        info.header("host"),
    )


def test_scope_of_a_server_is_told_whole() -> None:
    assert facts(odd_scope()) == PLAIN


@pytest.mark.parametrize(
    ("key", "place", "value"),
    [
        ("http_version", 5, ""),
        ("method", 0, "GET"),
        ("scheme", 3, "http"),
        ("path", 1, ""),
        ("query_string", 2, ""),
        ("client", 4, None),
    ],
)
def test_key_that_is_missing_or_none_has_its_default(key: str, place: int, value: Any) -> None:
    expected = (*PLAIN[:place], value, *PLAIN[place + 1 :])
    assert facts(odd_scope(**{key: None})) == expected
    assert facts({**odd_scope(), key: None}) == expected


@pytest.mark.parametrize("headers", [None, [], (), {}, iter(())])
def test_scope_without_headers_has_none(headers: Any) -> None:
    assert facts(odd_scope(headers=headers))[-2:] == (False, None)
    assert list(header_names(odd_scope(headers=headers))) == []


@pytest.mark.parametrize(
    "headers",
    [
        ((b"host", b"shop.test"), (b"x-request-id", b"r-1")),
        [[b"host", b"shop.test"], [b"x-request-id", b"r-1"]],
        {b"host": b"shop.test", b"x-request-id": b"r-1"},
        {"host": "shop.test", "x-request-id": "r-1"},
        [("host", "shop.test"), ("x-request-id", "r-1")],
        [(b"host", "shop.test"), (b"x-request-id", "r-1")],
        [(b"host", memoryview(b"shop.test")), (b"x-request-id", b"r-1")],
        [(bytearray(b"host"), b"shop.test"), (b"x-request-id", b"r-1")],
        [(b"host", b"shop.test"), (b"x-request-id", b"r-1"), b"no pair"],
    ],
    ids=[
        "tuple",
        "lists",
        "mapping",
        "text mapping",
        "text",
        "text values",
        "memoryview",
        "bytearray",
        "rest",
    ],
)
def test_headers_of_any_shape_are_read(headers: Any) -> None:
    assert facts(odd_scope(headers=headers)) == PLAIN


def test_headers_that_can_be_read_once_are_left_to_the_app() -> None:
    given = odd_scope(headers=((name, b"1") for name in (b"host", b"traceparent")))
    assert facts(given)[-2:] == (True, "1")
    assert given["headers"] == [(b"host", b"1"), (b"traceparent", b"1")]


def test_text_for_bytes_and_bytes_for_text_are_taken() -> None:
    given = odd_scope(
        path=b"/orders", query_string="page=2", method=b"POST", scheme=b"https", client="192.0.2.1"
    )
    assert facts(given) == (*PLAIN[:4], ("192.0.2.1", None), *PLAIN[5:])
    assert facts(odd_scope(http_version=1.1)) == PLAIN
    assert facts(odd_scope(client=object()))[4] is None
    assert facts(odd_scope(query_string=memoryview(b"page=2"))) == PLAIN


def test_websocket_without_method_and_scheme_is_a_get() -> None:
    assert facts(odd_scope(type="websocket", method=None, scheme=None))[:4] == (
        "GET",
        "/orders",
        "page=2",
        "ws",
    )
