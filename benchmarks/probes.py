"""How long probes take while every dependency hangs, and what they cost the app: `python -m benchmarks.probes`.

A server runs an app of which every check hangs, half of them async. Probes come at a fixed rate, and so do requests of
the app's own. A time is counted from the moment at which its request was due, so that a server which stands still is
not spared those that queue up meanwhile. The same is measured without checks and without probes for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from obs_middleware import Observer

ROOT = Path(__file__).parents[1]
WARM_UP_SECONDS = 1.0  # with the first answers, which wait for the checks for a moment
COMMANDS = {
    "uvicorn": ["-m", "uvicorn", "--factory", "--no-access-log", "--log-level", "error", "benchmarks.probes:asgi"],
    "gunicorn": ["-m", "gunicorn", "--threads", "8", "--log-level", "error", "benchmarks.probes:wsgi()"],
}  # fmt: skip


def asgi() -> Any:
    """Make the app that uvicorn serves."""
    from obs_asgi import ObservabilityMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    return ObservabilityMiddleware(app, _observer())


def wsgi() -> Any:
    """Make the app that gunicorn serves."""
    from obs_wsgi import ObservabilityMiddleware

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    return ObservabilityMiddleware(app, _observer())


def _observer() -> Observer:
    observer = Observer(service_name="probed", access_log=False, tracing_enabled=False, log_level="ERROR")

    async def hang() -> None:
        await asyncio.sleep(3600)

    for number in range(10):
        observer.health.add(f"dependency {number}", hang if number % 2 else Event().wait)
    return observer


class Load:
    """Ask one path at a fixed rate, over connections that stay open; keep how long each answer took."""

    def __init__(self, port: int, path: str, rate: float, status: int) -> None:
        self._port, self._rate = port, rate
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._wanted = f"HTTP/1.1 {status} ".encode()
        self.seconds: list[float] = []
        self.failures = 0

    async def run(self, seconds: float, connections: int) -> None:
        """Ask for so many seconds."""
        due = iter(range(int(seconds * self._rate)))
        began = time.perf_counter()
        await asyncio.gather(*(self._ask(due, began) for _ in range(connections)))

    async def _ask(self, due: Any, began: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for number in due:
            at = began + number / self._rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = (
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            self.seconds.append(time.perf_counter() - at)
            self.failures += not head.startswith(self._wanted)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def told(self) -> str:
        """Return the quantiles, in milliseconds."""
        ordered = sorted(self.seconds)
        p50, p99, p999 = (1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 0.999))
        return (
            f"{len(ordered):6} answers, {self.failures} wrong   p50 {p50:6.2f} ms   "
            f"p99 {p99:6.2f} ms   p99.9 {p999:6.2f} ms"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probes", description=__doc__)
    parser.add_argument("--server", choices=COMMANDS, default="uvicorn")
    parser.add_argument("--rate", type=float, default=1000, help="probes a second (default: %(default)s)")
    parser.add_argument("--requests", type=float, default=100, help="of the app's own a second")
    parser.add_argument("--seconds", type=float, default=10, help="of each phase (default: %(default)s)")
    parser.add_argument("--probe", default="/health/ready", help="the path (default: %(default)s)")
    given = parser.parse_args(arguments)
    port = _free_port()
    bind = ["--bind", f"127.0.0.1:{port}"] if given.server == "gunicorn" else ["--port", str(port)]
    server = subprocess.Popen([sys.executable, *COMMANDS[given.server], *bind], cwd=ROOT)
    try:
        _wait_for(port)
        asyncio.run(_measure(given, port))
    finally:
        server.terminate()
        server.wait(20)


async def _measure(given: argparse.Namespace, port: int) -> None:
    connections = 4 if given.server == "gunicorn" else 16  # gunicorn keeps a thread of its eight for each
    alone = Load(port, "/items/1", given.requests, 200)
    await alone.run(given.seconds, connections)
    print(f"requests, nobody probes   {alone.told()}")
    status = 200 if given.probe.endswith(("live", "livez", "startup", "startupz")) else 503
    first = Load(port, given.probe, given.rate, status)
    await first.run(WARM_UP_SECONDS, connections)
    print(f"probes, the first second  {first.told()}")
    probes = Load(port, given.probe, given.rate, status)
    requests = Load(port, "/items/1", given.requests, 200)
    await asyncio.gather(*(load.run(given.seconds, connections) for load in (probes, requests)))
    print(f"probes, all checks hung   {probes.told()}")
    print(f"requests, meanwhile       {requests.told()}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
