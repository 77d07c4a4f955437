"""Outcomes."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from tests.apps.probe import CATCH_ALL_STATUS, CHUNKS, LONG_CHUNK, LONG_CHUNKS, Options, held
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import AsgiClient, Request, environ_of, scope_of
from tests.conformance.probes import ACTIVE, WEBSOCKET, Probe
from tests.conformance.servers import eventually


def test_success_has_no_error(app: Probe) -> None:
    """Success has outcome ok and no error; 4xx too."""
    for target, status in (("/items/1", 200), ("/nothing", 404), ("/teapot", 418)):
        assert app.get(target).status == status
    assert [(line["outcome"], line.get("error_type") or None) for line in app.access_lines(3)] == [
        ("ok", None)
    ] * 3
    assert {span.status.status_code for span in app.spans(3)} == {StatusCode.UNSET}
    assert {labels[3] for labels in app.counted(3)} == {""}


def test_an_unhandled_exception_is_an_error_once(app: Probe) -> None:
    """An unhandled exception is counted once, as a 500 with its class."""
    assert app.get("/boom").status == 500
    _ended(app, status=500, outcome="error", error="ValueError")


def test_the_exception_goes_on_as_without_us(make: Any, front_end: FrontEnd) -> None:
    """An exception reaches the server as it does without us."""
    observed = front_end.call(make().app, Request(b"/boom"))
    bare = front_end.call(front_end.make_bare_app(), Request(b"/boom"))
    assert type(observed.error) is type(bare.error)
    assert str(observed.error) == str(bare.error)


def test_the_500_of_a_framework_is_its_own(make: Any, front_end: FrontEnd) -> None:
    """The body of a framework's 500 is the framework's own."""
    observed = front_end.call(make().app, Request(b"/boom"))
    bare = front_end.call(front_end.make_bare_app(), Request(b"/boom"))
    assert observed.status == 500
    if bare.status is not None:  # a raw app has none
        assert observed.comparable() == bare.comparable()


def test_a_handled_500_is_an_error(app: Probe) -> None:
    """A 500 that the app made itself is an error."""
    assert app.get("/handled").status == 500
    [(_, _, status, error)] = app.counted(1)
    assert status == "500"
    assert error in ("500", "tests.apps.probe.HandledError")
    assert app.access_line()["outcome"] == "error"
    assert app.span().status.status_code is StatusCode.ERROR


def test_the_status_of_a_handler_for_every_exception_is_recorded(serve: Any) -> None:
    """The status that a handler for every exception really sent is recorded."""
    app = serve(Options(catch_all=True))
    assert app.get("/boom").status == CATCH_ALL_STATUS
    [(_, _, status, error)] = app.counted(1)
    assert status == str(CATCH_ALL_STATUS) == str(app.access_line()["status"])
    assert error in ("ValueError", str(CATCH_ALL_STATUS))


@pytest.mark.needs("asgi")
def test_the_status_is_right_where_no_lifespan_was_run(make: Any) -> None:
    """The status sent is recorded also where the server runs no lifespan."""
    app = make()

    async def three() -> list[int | None]:
        statuses = []
        for _ in range(3):
            client = AsgiClient(Request(b"/boom"))
            with pytest.raises(ValueError, match="boom"):
                await app.app(scope_of(Request(b"/boom")), client.receive, client.send)
            statuses.append(client.response.status)
        return statuses

    if app.front_end.name == "django_asgi":
        app.front_end.call_all(app.app, [Request(b"/boom")] * 3)
    else:
        assert asyncio.run(three()) == [500, 500, 500]
    assert {labels[2:] for labels in app.counted(3)} == {("500", "ValueError")}


def test_an_exception_in_mid_stream_is_an_error(app: Probe) -> None:
    """An exception in mid-stream is an error, with the status that was sent."""
    response = app.get("/stream/broken")
    assert response.status == 200
    _ended(
        app, status=200, outcome="error", error="ValueError"
    )  # also where Starlette before 1.0 raises a group of it


@pytest.mark.needs("disconnect")
def test_a_client_that_leaves_in_mid_stream_is_a_disconnect(app: Probe) -> None:
    """A client that leaves in mid-stream is a disconnect, with the status that was sent."""
    with app.connect() as client:
        client.sendall(b"GET /stream/long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(100)
        _reset(client)
    _ended(app, status=200, outcome="client_disconnect", error="client_disconnect")
    assert app.access_line()["response_bytes"] < len(LONG_CHUNK) * LONG_CHUNKS


def test_a_client_that_leaves_does_not_spoil_the_next_request(app: Probe, front_end: FrontEnd) -> None:
    """A client that leaves changes nothing for the next one."""
    with app.connect() as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        eventually(lambda: app.value(ACTIVE) or app.counts(), "the request has come")
        _reset(client)
    assert app.get("/items/1").body == b"item 1"
    eventually(lambda: app.value(ACTIVE) == 0, "nothing in flight")
    assert app.counted(2)["GET", front_end.routes["item"], "200", ""] == 1


@pytest.mark.needs("cancellation")
def test_a_cancelled_request_is_recorded_and_stays_cancelled(make: Any, front_end: FrontEnd) -> None:
    """A cancelled request is recorded as such and stays cancelled."""
    app = make()

    async def cancelled() -> tuple[bool, float]:
        client, began = AsgiClient(Request(b"/slow")), time.monotonic()
        task = asyncio.ensure_future(app.app(scope_of(Request(b"/slow")), client.receive, client.send))
        while not has_begun.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), time.monotonic() - began

    with held() as has_begun:
        is_cancelled, waited = front_end.run(app.app, cancelled)
    assert is_cancelled
    line = app.access_line()
    # Django cancels a view when the client has left; that it was cancelled for another reason can't be told there.
    outcome = "client_disconnect" if front_end.name == "django_asgi" else "cancelled"
    assert (line["outcome"], line["status"]) == (outcome, None)
    assert 80 < line["duration_ms"] < waited * 1000 + 0.01
    assert [labels[2:] for labels in app.counted(1)] == [("", outcome)]
    assert (app.span().attributes or {}).get("error.type") == outcome
    assert app.value(ACTIVE) == 0


@pytest.mark.needs("asgi", "send")
def test_a_client_that_left_before_the_answer_is_a_disconnect(make: Any, front_end: FrontEnd) -> None:
    """A send that fails since the client has gone is a disconnect, and does as without us."""
    request = Request(b"/items/1")

    async def refused(application: Any) -> BaseException | None:
        async def send(message: Any) -> None:
            raise OSError("the client has gone")

        try:
            await application(scope_of(request), AsgiClient(request).receive, send)
        except Exception as error:
            return error
        return None

    app, bare = make(), front_end.make_bare_app()
    observed = front_end.run(app.app, lambda: refused(app.app))
    assert type(observed) is type(front_end.run(bare, lambda: refused(bare)))
    assert app.access_line()["outcome"] == "client_disconnect"
    assert app.value(ACTIVE) == 0


@pytest.mark.needs("wsgi")
def test_a_body_that_is_closed_unread_is_recorded(make: Any) -> None:
    """A body that the server closes unread is recorded as a disconnect."""
    app = make()
    body = app.app(environ_of(Request(b"/stream")), lambda *_: None)
    body.close()
    line = app.access_line()
    assert (line["outcome"], line["status"], line["response_bytes"]) == ("client_disconnect", 200, 0)
    assert app.value(ACTIVE) == 0


@pytest.mark.needs("wsgi")
def test_a_body_that_is_closed_early_is_recorded_once(make: Any) -> None:
    """A body that the server closes early is recorded once, with the bytes that were read."""
    app = make()
    body = app.app(environ_of(Request(b"/stream")), lambda *_: None)
    assert next(iter(body)) == CHUNKS[0]
    body.close()
    body.close()
    line = app.access_line()
    assert (line["outcome"], line["response_bytes"]) == ("client_disconnect", len(CHUNKS[0]))


@pytest.mark.needs("websocket")
def test_a_websocket_is_a_connection_and_not_a_request(app: Probe) -> None:
    """A websocket is in flight while open and no HTTP request; its status is 101."""
    with app.connect() as client:
        socket_ = WebSocket(client, "/ws")
        assert socket_.is_open
        assert socket_.ask("hello") == "hello"
        assert app.value(ACTIVE, url_scheme="ws") == 1
        socket_.close()
    line = app.access_line()
    assert (line["status"], line["outcome"], line["path"]) == (101, "ok", "/ws")
    assert (app.span().attributes or {})["http.response.status_code"] == 101
    assert app.value(ACTIVE) == 0
    assert not app.counts()


@pytest.mark.needs("websocket")
def test_a_websockets_messages_and_its_end_are_counted(app: Probe) -> None:
    """A websocket is counted while it is open, by its messages, and at its end by its close code."""
    with app.connect() as client:
        socket_ = WebSocket(client, "/ws")
        assert socket_.ask("héllo") == "héllo"
        assert app.value(f"{WEBSOCKET}_active_connections") == 1
        assert app.value(f"{WEBSOCKET}_messages_total", network_io_direction="receive") == 1
        socket_.ask("again")
        socket_.close()
    app.access_line()
    assert app.value(f"{WEBSOCKET}_active_connections") == 0
    assert app.value(f"{WEBSOCKET}_connections_total", websocket_close_code="1000") == 1
    assert app.value(f"{WEBSOCKET}_connections_total") == 1
    assert app.value(f"{WEBSOCKET}_connection_duration_seconds_count") == 1
    for direction in ("receive", "transmit"):
        assert app.value(f"{WEBSOCKET}_messages_total", network_io_direction=direction) == 2
        assert app.value(f"{WEBSOCKET}_message_bytes_total", network_io_direction=direction) == 11


@pytest.mark.needs("websocket")
def test_a_rejected_websocket_is_a_403(app: Probe) -> None:
    """A rejected websocket is a GET answered with 403."""
    with app.connect() as client:
        assert WebSocket(client, "/ws/reject").status == 403
    assert [(labels[0], labels[2]) for labels in app.counted(1)] == [("GET", "403")]
    assert app.access_line()["status"] == 403


@pytest.mark.needs("websocket")
def test_a_websocket_that_fails_is_an_error(app: Probe) -> None:
    """A websocket whose view raises is an error."""
    with app.connect() as client:
        assert WebSocket(client, "/ws/boom").is_open
    line = app.access_line()
    assert (line["outcome"], line["error_type"]) == ("error", "ValueError")
    assert app.value(ACTIVE) == 0
    assert app.value(f"{WEBSOCKET}_connections_total", websocket_close_code="1011") == 1


class WebSocket:
    """The client's end of a websocket."""

    def __init__(self, connection: socket.socket, target: str) -> None:
        self._socket = connection
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        self._send(ws.Request(host="127.0.0.1", target=target))
        answer = self._next()
        self.is_open = isinstance(answer, ws.AcceptConnection)
        self.status = getattr(answer, "status_code", 101)

    def ask(self, text: str) -> str:
        self._send(ws.TextMessage(data=text))
        return str(self._next().data)

    def close(self) -> None:
        self._send(ws.CloseConnection(code=1000))
        self._next()

    def _send(self, event: Any) -> None:
        self._socket.sendall(self._protocol.send(event))

    def _next(self) -> Any:
        while not self._events:
            self._protocol.receive_data(self._socket.recv(4096) or None)
            self._events.extend(self._protocol.events())
        return self._events.pop(0)


def _reset(client: socket.socket) -> None:
    """Leave without a word: the server's next write fails."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _ended(app: Probe, *, status: int, outcome: str, error: str) -> None:
    [(_, _, counted, error_type)] = app.counted(1)
    line, span = app.access_line(), app.span()
    assert (counted, error_type) == (str(status), error)
    assert (line["status"], line["outcome"], line["error_type"]) == (status, outcome, error)
    assert (span.attributes or {})["http.response.status_code"] == status
    assert (span.attributes or {})["error.type"] == error
    assert span.status.status_code is StatusCode.ERROR
    assert not span.status.description
    assert app.value(ACTIVE) == 0
