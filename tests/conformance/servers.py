"""Real servers on the loopback, one of a kind for the whole run; the app behind them is changed for each test.

WSGI is served by wsgiref with a thread for each connection, since gunicorn cannot run inside a test process;
`test_deployed.py` runs the apps under gunicorn and uvicorn as they are run in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn

LARGEST_HEAD_BYTES = 8 * 2**20
PATIENCE_SECONDS = 60.0  # a machine that has other things to do; the limit of a test is above it


class Server(Protocol):
    """A running server."""

    address: tuple[str, int]

    def serving(self, app: Any) -> contextlib.AbstractContextManager[None]: ...
    def stop(self) -> None: ...


class AsgiServer:
    """Uvicorn in a thread; an app's lifespan is run as Uvicorn runs it, around the time that the app is served."""

    def __init__(self) -> None:
        self._app: Any = None
        self._in_flight = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address: tuple[str, int] = self._socket.getsockname()
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            loop="asyncio",
            http="h11",
            ws="wsproto",
            h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),), daemon=True)
        self._thread.start()
        self._is_up.wait()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_up.set()
        await self._server.serve(sockets=[self._socket])

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1

    @contextlib.contextmanager
    def serving(self, app: Any) -> Iterator[None]:
        lifespan = Lifespan(app)
        asyncio.run_coroutine_threadsafe(lifespan.start(), self._loop).result(PATIENCE_SECONDS)
        self._app = app
        try:
            yield
        finally:
            wait_until_idle(lambda: self._in_flight == 0)
            asyncio.run_coroutine_threadsafe(lifespan.stop(), self._loop).result(PATIENCE_SECONDS)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._socket.close()


class Lifespan:
    """Start and stop an ASGI app as a server does; an app that knows no lifespan is left alone."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def start(self) -> None:
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run())
        await self._to_app.put({"type": "lifespan.startup"})
        assert await self._from_app.get() in ("lifespan.startup.complete", None)

    async def stop(self) -> None:
        await self._to_app.put({"type": "lifespan.shutdown"})
        await self._task

    async def _run(self) -> None:
        async def send(message: Any) -> None:
            await self._from_app.put(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, send)
        except Exception:
            await self._from_app.put(None)  # Django knows no lifespan and says so by raising


class WsgiServer:
    """The standard library's server with a thread for each connection."""

    def __init__(self) -> None:
        self._server = _ThreadedServer(("127.0.0.1", 0), _QuietHandler)
        self.address = ("127.0.0.1", int(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def serving(self, app: Any) -> Iterator[None]:
        self._server.set_app(app)
        try:
            yield
        finally:
            wait_until_idle(lambda: not self._server.serving_now)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_SECONDS)


class _ThreadedServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, *args: Any) -> None:
        self.serving_now: set[Any] = set()
        super().__init__(*args)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the name service
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.serving_now.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.serving_now.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def get_stderr(self) -> Any:
        return io.StringIO()


def wait_until_idle(is_idle: Any) -> None:
    """Wait for the last request to end, so that no test sees the end of another."""
    eventually(is_idle, "a request is still being served")


def eventually(is_true: Any, complaint: str) -> None:
    """Wait until something holds; the server may still be at work when the client has its answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.002)
