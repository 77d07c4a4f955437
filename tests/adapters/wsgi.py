"""A WSGI server of a few lines, strict on PEP 3333: headers go out with the first byte, later errors are raised."""

from __future__ import annotations

import io
from typing import Any


class Call:
    """One request to an app, and what reached the client."""

    def __init__(self, app: Any, path: str = "/", **environ: Any) -> None:
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "shop.test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "shop.test",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **environ,
        }
        self.sent = b""
        self.error: BaseException | None = None
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._app = app

    @property
    def status(self) -> int:
        """The status that reached the client."""
        assert self._head is not None
        return int(self._head[0][:3])

    def all(self, name: str) -> list[str]:
        assert self._head is not None
        return [value for key, value in self._head[1] if key.lower() == name.lower()]

    def begin(self) -> Any:
        """Call the app and return its body."""
        return self._app(self.environ, self._start_response)

    def run(self) -> Call:
        """Serve the request to its end, as servers do."""
        try:
            body = self.begin()
            try:
                for piece in body:
                    if piece:
                        self._write(piece)
            finally:
                if hasattr(body, "close"):
                    body.close()
        except Exception as error:
            self.error = error
        return self

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self.sent and exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        assert self._head is None or exc_info is not None, "start_response was called twice"
        self._head = (status, headers)
        return self._write

    def _write(self, piece: bytes) -> None:
        assert self._head is not None, "a byte before the headers"
        self.sent += piece


def call(app: Any, path: str = "/", **environ: Any) -> Call:
    """Serve one request."""
    return Call(app, path, **environ).run()
