"""Requests and responses as the list speaks of them, sent over a socket or handed to the app in process."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

Headers = Iterable[tuple[bytes, bytes]]

TIMEOUT_SECONDS = 60.0
OURS = ("x-request-id", "x-correlation-id")
# Set by servers, or different each time.
UNCOMPARED = (*OURS, "date", "server", "connection", "transfer-encoding")


@dataclass(frozen=True)
class Request:
    """One request; `target` is the path with its query, percent-encoded, and may hold any byte."""

    target: bytes = b"/"
    method: bytes = b"GET"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    host: bytes = b"127.0.0.1"

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        return self.target.partition(b"?")[2]

    @property
    def all_headers(self) -> list[tuple[bytes, bytes]]:
        length = [(b"content-length", b"%d" % len(self.body))] if self.body else []
        return [(b"host", self.host), *length, *self.headers]


@dataclass
class Response:
    """What came back; `status` is None when nothing did, `error` is what the app raised (in process only)."""

    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    error: BaseException | None = None
    is_complete: bool = True

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        values = self.all(name)
        assert len(values) == 1, f"{name} should be there once, got {values}"
        return values[0]

    @property
    def request_id(self) -> str:
        return self.one("x-request-id")

    def comparable(self) -> tuple[Any, ...]:
        """Return all that an observed app must answer as the bare app does."""
        headers = sorted((key.lower(), value) for key, value in self.headers if key.lower() not in UNCOMPARED)
        return self.status, headers, self.body, type(self.error)


def over_socket(address: tuple[str, int], request: Request) -> Response:
    """Send the request to a server and read the whole answer."""
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(encode(request))
        return receive(connection, request.method)


def encode(request: Request) -> bytes:
    """Write the request down as HTTP/1.1, unchecked."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    lines += [b"%b: %b" % pair for pair in request.all_headers]
    return b"\r\n".join([*lines, b"connection: close", b"", request.body])


def receive(connection: socket.socket, method: bytes = b"GET") -> Response:
    """Read an answer; one that breaks off is not complete."""
    answer = http.client.HTTPResponse(connection, method=method.decode("latin-1"))
    try:
        answer.begin()
        headers = list(answer.getheaders())
    except (http.client.HTTPException, ConnectionError):
        return Response(is_complete=False)
    try:
        return Response(answer.status, headers, answer.read())
    except (http.client.HTTPException, ConnectionError):
        return Response(answer.status, headers, is_complete=False)


def scope_of(request: Request) -> dict[str, Any]:
    """Make the scope that a server makes of the request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method.decode("latin-1"),
        "scheme": "http",
        "path": unquote(request.path.decode("latin-1")),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.all_headers],
        "client": ("127.0.0.1", 54321),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def through_asgi(app: Any, request: Request) -> Response:
    """Hand the request to an ASGI app as a server would."""
    client = AsgiClient(request)
    try:
        await app(scope_of(request), client.receive, client.send)
    except Exception as error:
        client.response.error = error
    return client.response


class AsgiClient:
    """The two ends that an ASGI app gets for a request, and the response that it sent."""

    def __init__(self, request: Request) -> None:
        self.response = Response()
        self._messages = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            self.response.status = message["status"]
            self.response.headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in headers]
        elif message["type"] == "http.response.body":
            self.response.body += message.get("body", b"")


def environ_of(request: Request) -> dict[str, Any]:
    """Make the environ that a server makes of the request."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query.decode("latin-1"),
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "54321",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.all_headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def through_wsgi(app: Any, request: Request) -> Response:
    """Hand the request to a WSGI app as a server would."""
    response = Response()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        response.status, response.headers = int(status.split()[0]), list(headers)
        return chunks.append

    chunks: list[bytes] = []
    try:
        body = app(environ_of(request), start_response)
        try:
            chunks.extend(body)
        finally:
            if hasattr(body, "close"):
                body.close()
    except Exception as error:
        response.error = error
    response.body = b"".join(chunks)
    return response
