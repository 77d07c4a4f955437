"""A request as an ASGI scope tells it."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.scope import request_info

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
