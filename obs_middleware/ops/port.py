"""A port of our own for our paths, served by a thread, so that it answers while the app's loop or workers are stuck.

Of several processes the first one has the port, and another one takes over when that one ends. A process that only
forks others gives it up to them.
"""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Callable
from email.errors import FirstHeaderLineIsContinuationDefect, HeaderDefect, MissingHeaderBodySeparatorDefect
from errno import EADDRINUSE
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import repeat
from socketserver import ThreadingMixIn
from typing import Any

from obs_middleware import process
from obs_middleware.reply import TEXT_HEADERS, Reply
from obs_middleware.request import RequestInfo, with_header_names

Answer = Callable[[RequestInfo, str], Reply]

_SERVER = "obs-middleware"  # the header by which our answers are known
_CONNECTIONS = 32
# Until a taken port is asked for again: soon where a parent gives it up just now, as after a fork; then seldom.
_SOON_SECONDS, _SOON_TIMES, _AGAIN_SECONDS = 0.05, 20, 1.0
_LOOK_SECONDS = 0.25
_RECEIVE_SECONDS = 5.0  # for a whole request
_UNREAD = HeaderDefect, FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
_BAD = Reply(400, TEXT_HEADERS, b"Bad Request\n")
_NOT_FOUND = Reply(404, TEXT_HEADERS, b"Not Found\n")
_logger = logging.getLogger("obs")


class OpsPort:
    """Serve paths in a thread.

    Args:
        address: host and port.
        has_page: tells whether a path is answered.
        answer: makes the reply to such a path.
    """

    def __init__(self, address: tuple[str, int], *, has_page: Callable[[str], bool], answer: Answer) -> None:
        self._address = address
        self._has_page = has_page
        self._answer = answer
        self._run: _Run | None = None
        self._is_serving = False
        self._lock = threading.Lock()
        process.on_fork(in_parent=self._leave_to_child, in_child=self._begin_in_child)

    def start(self, *, is_serving: bool) -> None:
        """Serve, unless it is done already.

        Args:
            is_serving: False where the app is only made, perhaps by a process that forks workers.
        """
        with self._lock:
            self._is_serving = self._is_serving or is_serving
            if self._run is None or (is_serving and self._run.is_over):
                self._run = _Run(self._address, self._reply)
                self._run.begin()

    def stop(self) -> None:
        """Close the port."""
        if self._run is not None:
            self._run.is_over = True

    def _leave_to_child(self) -> None:
        if not self._is_serving:
            self.stop()

    def _begin_in_child(self) -> None:
        self._lock = threading.Lock()
        run, self._run = self._run, None
        if run is not None:
            run.close()
            if not self._is_serving:
                self.start(is_serving=False)
        self._is_serving = False

    def _reply(self, info: RequestInfo) -> Reply:
        return self._answer(info, info.path) if self._has_page(info.path) else _NOT_FOUND


class _Run:
    def __init__(self, address: tuple[str, int], reply: Callable[[RequestInfo], Reply]) -> None:
        self._address = address
        self._reply = reply
        self._server: _Server | None = None
        self.is_over = False

    def begin(self) -> None:
        try:
            threading.Thread(target=self._serve, name="obs-ops-port", daemon=True).start()
        except RuntimeError:  # there are no threads here
            self.is_over = True

    def close(self) -> None:
        self.is_over = True
        if self._server is not None:
            self._server.server_close()

    def _serve(self) -> None:
        ask_again, pauses = threading.Event(), repeat(_SOON_SECONDS, _SOON_TIMES)
        has_warned = False
        while not self.is_over and self._server is None:
            try:
                self._server = _Server(self._address, self._reply)
            except OSError as error:
                pause = next(pauses, _AGAIN_SECONDS)
                is_soon = error.errno == EADDRINUSE and pause == _SOON_SECONDS
                if not has_warned and not is_soon and not _is_ours(self._address):
                    has_warned = True
                    _logger.warning(
                        "obs-middleware: probes and metrics are not answered: ops_port %s:%d is not to be had (%s)",
                        *self._address,
                        error.strerror,
                    )
                ask_again.wait(pause)
        while not self.is_over and self._server is not None:
            self._server.handle_request()
        self.close()


def _is_ours(address: tuple[str, int]) -> bool:
    """Tell whether another worker answers there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - nothing is bound here
    connection = HTTPConnection(host, address[1], timeout=_AGAIN_SECONDS)
    try:
        connection.request("HEAD", "/")
        return str(connection.getresponse().headers["Server"]).strip() == _SERVER
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    timeout = _LOOK_SECONDS

    def __init__(self, address: tuple[str, int], reply: Callable[[RequestInfo], Reply]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.reply = reply
        self._free = threading.Semaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that HTTPServer makes."""
        super(HTTPServer, self).server_bind()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; wait where no file is to be had for it, because it stays in the way."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_LOOK_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; close a connection that is one too many, or for which no thread is to be had."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


class _Received(io.RawIOBase):
    """What a client sends within the time for a request, however often it sends a little."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end = time.monotonic() + _RECEIVE_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        rest = self._end - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        self._connection.settimeout(rest)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] (its only server)
    timeout = 5  # to send an answer
    server_version = _SERVER
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Received(self.connection))

    def _respond(self) -> None:
        self.connection.settimeout(self.timeout)
        path, _, query = self.path.partition("?")
        peer = self.client_address[0], self.client_address[1]
        info = RequestInfo(self.command, path, query, "http", self._header, peer, self.request_version[5:])
        # A line that is no header ends them for the parser, and may hide what a proxy has added.
        is_half_read = any(isinstance(defect, _UNREAD) for defect in self.headers.defects)
        reply = _BAD if is_half_read else self.server.reply(with_header_names(info, self._header_names))
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_POST = _respond  # noqa: N815 (http.server's names)

    def _header(self, name: str) -> str | None:
        values = self.headers.get_all(name)
        return None if values is None else ", ".join(values)

    def _header_names(self) -> list[str]:
        return [name.lower() for name in self.headers]

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line: probes and scrapes have none at the app's port either."""
