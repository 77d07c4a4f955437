"""A request as CGI variables tell it."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.environ import named_request_info, request_info, variables_of

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


ODD = [
    ("REQUEST_METHOD", b"GET"),
    ("SCRIPT_NAME", None),
    ("PATH_INFO", b"/caf\xc3\xa9"),
    ("QUERY_STRING", b"a=1"),
    ("QUERY_STRING", 7),
    ("REMOTE_ADDR", b"192.0.2.1"),
    ("REMOTE_PORT", "9" * 5000),
    ("REMOTE_PORT", 1.5),
    ("wsgi.url_scheme", b"https"),
    ("SERVER_PROTOCOL", b"HTTP/1.1"),
    ("SERVER_PROTOCOL", 1.1),
    ("HTTP_X_REQUEST_ID", b"r-1"),
    ("HTTP_X_REQUEST_ID", 7),
    (7, "a key that is no text"),
    (b"HTTP_HOST", b"x"),
]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_what_is_no_text_is_read_as_text(name: Any, value: Any) -> None:
    """Gateways and tests make such environs, and apps take them."""
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "192.0.2.1", name: value}
    for make in (request_info, named_request_info):
        info = make(variables, CONTEXT_HEADERS)
        texts = info.method, info.path, info.query, info.scheme, info.http_version, info.peer and info.peer[0]
        assert {type(text) for text in texts} == {str}
        assert isinstance(info.header("x-request-id"), (str, type(None)))
        assert all(isinstance(header, str) for header in info.header_names())
    if name == "PATH_INFO":
        assert info.path == "/café"


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


class Unasked:
    """A value that raises whatever it is asked."""

    def __bool__(self) -> bool:
        raise RuntimeError("asked")

    __str__ = __len__ = __bool__  # type: ignore[assignment]


def test_a_variable_is_not_asked_for_what_is_known_better() -> None:
    names = "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "wsgi.url_scheme", "SERVER_PROTOCOL"
    variables = {name: Unasked() for name in names}
    info = request_info(variables, CONTEXT_HEADERS, "GET", "/x", "https", "2")
    assert (info.method, info.path, info.scheme, info.http_version) == ("GET", "/x", "https", "2")
