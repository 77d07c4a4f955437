"""A client for the tail of the latencies: its connections are open and have been served before the clock runs.

wrk opens its connections while it measures. As soon as the others are busy, uvloop takes in one of them for each turn
of the loop. By chance the last ones wait for 100 to 200 ms, or not at all. In a run of some seconds that is the slowest
percent, whatever the server does later.
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from benchmarks.drive import HEADERS, QUERY
from benchmarks.servers import Server
from benchmarks.workers import ROOT, cores, on_core

_CONNECTIONS = 32
_WARM_SECONDS = 0.3
_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


def load(
    server: Server, *, seconds: float, during: AbstractContextManager[object] | None = None
) -> dict[str, float]:
    """Return what `servers.load` does, of connections that are open already.

    Args:
        during: is entered once they are, before the clock runs.

    Raises:
        RuntimeError: an answer was not a 200.
    """
    with on_core(cores()[0]):
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.steady", str(server.port), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
    assert client.stdout is not None
    client.stdout.readline()
    with during or nullcontext():
        before = server.cpu_seconds()
        printed, errors = client.communicate("")
        spent = server.cpu_seconds() - before
    if client.returncode:
        raise RuntimeError(f"{server.name} has not answered: {errors[-2000:]}")
    result = json.loads(printed)
    return {"rps": result["rps"], "p99_ms": result["p99_ms"], "cpu_us": spent / result["requests"] * 1e6}


def main(port: int, seconds: float) -> None:
    """Warm up, say so by an empty line, go on until standard input is closed, measure, print the result."""
    gc.disable()
    connections = Connections(port)
    connections.run(_WARM_SECONDS)
    print(flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        connections.run(0.01)
    taken = connections.run(seconds)
    requests = max(1, len(taken))
    expected = seconds / (requests / _CONNECTIONS)
    waiting = [late for late in connections.waiting() if late > expected]
    p99 = percentile(corrected(taken + waiting, expected), 0.99)
    print(json.dumps({"requests": requests, "rps": requests / seconds, "p99_ms": p99 * 1000}))


class Connections:
    """As many connections as wrk has, each with one request under way at any time."""

    def __init__(self, port: int) -> None:
        lines = [
            f"GET /r0/42?{QUERY} HTTP/1.1",
            *(f"{name.title()}: {value}" for name, value in HEADERS.items()),
        ]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._begun: dict[int, float] = {}
        self._port = port
        for _ in range(_CONNECTIONS):
            one = self._open()
            one.sendall(self._request)
            _receive(one)
            self._send(one)

    def run(self, seconds: float) -> list[float]:
        """Return how many seconds each request took that was answered in this time."""
        clock = time.perf_counter
        taken = []
        end = clock() + seconds
        while clock() < end:
            for number, _ in self._poll.poll(max(0.0, end - clock())):
                one = self._sockets[number]
                if _receive(one):
                    taken.append(clock() - self._begun[number])
                    self._send(one)
                else:
                    self._again(one)
        return taken

    def waiting(self) -> list[float]:
        """Return for how many seconds the requests wait that are under way."""
        now = time.perf_counter()
        return [now - begun for begun in self._begun.values()]

    def close(self) -> None:
        """Leave; what is under way is not waited for."""
        self._poll.close()
        for one in self._sockets.values():
            one.close()

    def _open(self) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[one.fileno()] = one
        self._poll.register(one.fileno(), select.EPOLLIN)
        return one

    def _again(self, closed: socket.socket) -> None:
        """Ask once more where a server has closed a connection, as one does that stood still; the wait goes on."""
        active_key = self._begun.pop(closed.fileno())
        self._poll.unregister(closed.fileno())
        del self._sockets[closed.fileno()]
        closed.close()
        one = self._open()
        one.sendall(self._request)
        self._begun[one.fileno()] = active_key

    def _send(self, one: socket.socket) -> None:
        self._begun[one.fileno()] = time.perf_counter()
        one.sendall(self._request)


def _receive(one: socket.socket) -> bool:
    """Read an answer; tell whether there was one before the server has closed the connection."""
    answer = b""
    while not _is_whole(answer):
        try:
            more = one.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            return False
        answer += more
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(answer.decode())
    return True


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _length(head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def corrected(taken: Sequence[float], expected: float) -> list[float]:
    """Add the requests that were not made since their connection was waiting, as wrk does.

    Args:
        expected: seconds between two requests of a connection.
    """
    added = []
    for late in taken:
        if late >= 2 * expected:
            missed = late - expected
            while missed > expected:
                added.append(missed)
                missed -= expected
    return [*taken, *added]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
