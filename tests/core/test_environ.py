"""A request as CGI variables tell it."""

from __future__ import annotations

import pytest

from obs_middleware.environ import request_info, variables_of

CONTEXT_HEADERS = variables_of(("x-request-id", "traceparent"))


def test_variables_tell_the_request() -> None:
    info = request_info(
        {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "/shop",
            "PATH_INFO": "/caf\u00c3\u00a9",
            "QUERY_STRING": "a=1",
            "wsgi.url_scheme": "https",
            "HTTP_X_REQUEST_ID": "r-1",
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": "3",
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "50123",
            "SERVER_PROTOCOL": "HTTP/1.1",
        },
        CONTEXT_HEADERS,
    )
    assert info.has_context_headers
    assert (info.method, info.path, info.query, info.scheme) == ("POST", "/shop/café", "a=1", "https")
    assert [info.header(name) for name in ("x-request-id", "content-type", "content-length", "host")] == [
        "r-1",
        "text/plain",
        "3",
        None,
    ]
    assert info.peer == ("192.0.2.1", 50123)
    assert info.http_version == "1.1"
    assert not info.is_websocket


def test_no_variables_at_all_are_a_request_too() -> None:
    info = request_info({}, CONTEXT_HEADERS)
    assert (info.method, info.path, info.query, info.scheme, info.peer, info.http_version) == (
        "",
        "",
        "",
        "http",
        None,
        "",
    )


@pytest.mark.parametrize("port", [None, "", "x", "-1", "١a"])
def test_port_that_is_none_is_left_out(port: str | None) -> None:
    assert request_info({"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": port}, CONTEXT_HEADERS).peer == (
        "192.0.2.1",
        None,
    )


@pytest.mark.parametrize("path", ["/\xff\xfe", "/\udcff", "/é\u20ac"])
def test_path_of_no_valid_encoding_is_still_text(path: str) -> None:
    request_info({"PATH_INFO": path}, CONTEXT_HEADERS).path.encode()


def test_what_the_framework_knows_better_is_taken() -> None:
    variables = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "wsgi.url_scheme": "http",
        "SERVER_PROTOCOL": "HTTP/1.0",
    }
    info = request_info(
        variables, CONTEXT_HEADERS, method="brew", path="/café", scheme="wss", http_version="2"
    )
    assert (info.method, info.path, info.scheme, info.http_version) == ("brew", "/café", "wss", "2")
    assert info.is_websocket
