"""What the tests of exporters share: a server that keeps what it gets, and exporters that do what they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from obs_middleware.export import Collected
from tests.http_servers import SilentHandler, serving


class Received(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A server on a free port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[Received] = []
        self.status, self.answer = 200, b""


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve, and end with the block."""

    class Handler(SilentHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            here.requests.append(Received(self.command, self.path, headers, body))
            self.send_response(here.status)
            self.send_header("Content-Length", str(len(here.answer)))
            self.end_headers()
            self.wfile.write(here.answer)

        do_PUT = do_POST = _take

    with serving(Handler) as port:
        here = Receiver(port)
        yield here


class Own:
    """An exporter of the user's own, which keeps what it gets."""

    name = "own"

    def __init__(self, interval_seconds: float = 60.0, *, do: Callable[[], object] = lambda: None) -> None:
        self.interval_seconds = interval_seconds
        self.got: list[Collected] = []
        self.threads: set[int] = set()
        self._do = do

    def export(self, collected: Collected) -> None:
        self.got.append(collected)
        self.threads.add(threading.get_ident())
        self._do()
