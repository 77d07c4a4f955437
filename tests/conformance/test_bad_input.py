"""Bad input."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.apps.probe import Options
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import TIMEOUT_SECONDS, Request, over_socket, receive
from tests.conformance.probes import Probe

MEGABYTE = b"x" * 2**20

HEADERS = {
    "a megabyte in one header": ((b"x-big", MEGABYTE),),
    "a megabyte in every header we read": tuple(
        (name, MEGABYTE)
        for name in (
            b"x-request-id",
            b"x-correlation-id",
            b"traceparent",
            b"tracestate",
            b"baggage",
            b"user-agent",
            b"accept",
        )
    ),
    "ten thousand headers": tuple((b"x-%d" % i, b"y") for i in range(10_000)),
    "ten thousand traceparents": ((b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),) * 10_000,
    "a tracestate of ten thousand members": (
        (b"tracestate", b",".join(b"k%d=v" % i for i in range(10_000))),
    ),
    "invalid UTF-8": (
        (b"x-request-id", b"\xff\xfe"),
        (b"user-agent", b"\xc3\x28"),
        (b"baggage", b"\xff=\xff"),
    ),
    "control characters": (
        (b"x-request-id", b"a\x00\x07b"),
        (b"user-agent", b"\x1b[2J\x00"),
        (b"x-y", b"\x7f"),
    ),
    "CR and LF": (
        (b"x-request-id", b"a\r\nset-cookie: x=1"),
        (b"x-correlation-id", b"a\nb"),
        (b"baggage", b"a\r\nb"),
    ),
    "empty names and values": ((b"", b""), (b"x-request-id", b""), (b"traceparent", b"")),
    "a bad host": ((b"x-forwarded-host", b"\xff"), (b"x-forwarded-for", b"not an address")),
    "a bad length": ((b"content-length", b"-1"),),
    "a length in other digits": ((b"content-length", "١٢".encode()),),
    "a bad credential": ((b"authorization", b"Bearer \xff\xff"),),
}

TARGETS = {
    "invalid UTF-8": b"/items/%ff%fe",
    "a nul": b"/items/%00",
    "CR and LF": b"/items/1%0d%0aset-cookie:x=1",
    "a traversal": b"/items/../../etc/passwd",
    "an encoded traversal": b"/items/%2e%2e%2fetc",
    "double slashes": b"//items//1",
    "two slashes before a host": b"//evil.test/items/1",
    "a page of ours with more": b"/metrics/../items/1",
    "a megabyte": b"/items/" + MEGABYTE,
    "a long number": b"/items/" + b"9" * 5000,
    "lone percent signs": b"/items/%%%zz",
    "other scripts": "/items/١".encode(),
    "half a pair": b"/items/%ed%a0%80",
    "no slash": b"items/1",
    "nothing": b"",
    "an asterisk": b"*",
    "a whole URL": b"http://evil.test/items/1",
    "a query of a megabyte": b"/items/1?q=" + MEGABYTE,
    "a query of ten thousand secrets": b"/items/1?" + b"&".join(b"token=%d" % i for i in range(10_000)),
    "an invalid query": b"/items/1?%ff=%fe&&&==&%",
}

METHODS = [
    b"BREW",
    b"get",
    b"",
    b"G E T",
    b"\xff\xfe",
    b"M" * 10_000,
    b"GET\r\nX-Evil: 1",
    b"{}",
    b"__class__",
]

WHOLE = [
    b"GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Request-ID: \xff\xfe\r\nConnection: close\r\n\r\n",
    b"GET /items/%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /items/1?\xe4=\xff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /items/1 HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n",
    b"GET /items/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    b"GET /items/1 HTTP/1.0\r\n\r\n",
    b"GET http://127.0.0.1/items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
]
# What the server still waits for when the client has said all; a client that ends a whole request so has left.
BROKEN = [
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nab",
    b"\x16\x03\x01\x02\x00\r\n\r\n",
    b"\r\n\r\n",
]


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_hostile_headers_are_served_as_by_the_bare_app(make: Any, front_end: FrontEnd, headers: Any) -> None:
    """Hostile headers: the answer is the bare app's, the log lines are JSON, the series bounded."""
    _same_as_bare(make(), front_end, Request(b"/items/1", headers=headers))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_hostile_paths_are_served_as_by_the_bare_app(make: Any, front_end: FrontEnd, target: bytes) -> None:
    """Hostile paths and queries: the answer is the bare app's, the log lines are JSON, the series bounded."""
    _same_as_bare(make(), front_end, Request(target))


@pytest.mark.needs("raw query")
def test_a_query_of_raw_bytes_is_served_as_by_the_bare_app(make: Any, front_end: FrontEnd) -> None:
    """A query of bytes that are no text: the answer is the bare app's, the request is recorded."""
    _same_as_bare(make(), front_end, Request(b"/items/1?\xff\xfe=\x00"))


@pytest.mark.parametrize("method", METHODS)
def test_hostile_methods_are_served_as_by_the_bare_app(make: Any, front_end: FrontEnd, method: bytes) -> None:
    """Hostile methods: the answer is the bare app's, the log lines are JSON, the series bounded."""
    app = make()
    _same_as_bare(app, front_end, Request(b"/items/1", method))
    [labels] = app.counts() or [("_OTHER",)]
    assert labels[0] == "_OTHER"


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 1000, b"x" * 2**20])
def test_bodies_arrive_as_they_were_sent(app: Probe, body: bytes) -> None:
    """Bodies of any size and bytes arrive whole."""
    assert app.get("/echo", method="POST", body=body).body == b"%d" % len(body)
    assert app.access_line()["request_bytes"] == len(body)


@pytest.mark.parametrize("data", [*WHOLE, *BROKEN])
def test_raw_bytes_are_answered_as_by_the_bare_app(
    make: Any, front_end: FrontEnd, server: Any, data: bytes
) -> None:
    """Raw bytes on the wire, valid or not, are answered as by the bare app behind the same server."""
    app = make()
    with server.serving(front_end.make_bare_app()):
        bare = _exchange(server.address, data)
    with app.served_by(server):
        assert _exchange(server.address, data) == bare
        assert app.get("/items/1").body == b"item 1"
    app.lines()


def test_a_megabyte_of_headers_over_the_wire(app: Probe, front_end: FrontEnd, server: Any, make: Any) -> None:
    """Large headers over the wire are answered as by the bare app."""
    request = Request(b"/items/1", headers=tuple((b"x-%d" % i, b"y" * 60_000) for i in range(17)))
    observed = app.send(request)
    bare_app = front_end.make_bare_app(Options())
    with server.serving(bare_app):
        assert over_socket(server.address, request).comparable() == observed.comparable()
    assert observed.status == 200


def _same_as_bare(app: Probe, front_end: FrontEnd, request: Request) -> None:
    bare = front_end.call(front_end.make_bare_app(), request)
    observed = app.call(request)
    assert observed.comparable() == bare.comparable()
    for name, value in observed.headers:
        assert "\r" not in name + value
        assert "\n" not in name + value
    assert len(observed.all("x-request-id")) <= 1
    lines = app.lines()
    assert all(len(line["message"]) < 20_000 for line in lines)
    assert app.counts().total() == len(app.access_lines()) == 1
    assert app.value("obs_internal_errors_total") == 0


def _exchange(address: tuple[str, int], data: bytes) -> tuple[int | None, bytes]:
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(data)
        if data in BROKEN:
            connection.shutdown(socket.SHUT_WR)
        answer = receive(connection, data.split(b" ")[0])
        return answer.status, answer.body
