"""A collector that takes OTLP over HTTP and forgets it, in a process of its own on the core that is not measured."""

from __future__ import annotations

import http.client
import subprocess
import sys
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.workers import ROOT, cores, on_core


class Sink:
    """Start the process when somebody asks where it is; it ends with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._port = 0

    def endpoint(self) -> str:
        """Return its base URL; what it had received before is forgotten."""
        if not self._port:
            with on_core(cores()[0]):
                process = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE, cwd=ROOT, text=True
                )
            self._stack.callback(process.wait)
            self._stack.callback(process.terminate)
            assert process.stdout is not None
            self._stack.callback(process.stdout.close)
            self._port = int(process.stdout.readline())
        self.received()
        return f"http://127.0.0.1:{self._port}/"

    def received(self) -> int:
        """Return the bytes that have come since this was asked last."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _Handler.received += len(body)
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(str(_Handler.received).encode())
        _Handler.received = 0

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Say the port, then serve until terminated."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
