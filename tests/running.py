"""Servers as processes of their own, on free ports, ended whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

START_SECONDS = 60.0  # a machine that has other things to do
STOP_SECONDS = 40.0
ANSWER_SECONDS = 30.0
_PORTS = range(20_000, 32_000)  # below those that a system gives to clients
_taken: set[int] = set()  # ports of this process
_taking = threading.Lock()


class Server:
    """A server that runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self._folder = folder

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def leave(self, path: str) -> bytes:
        """Ask, read the first bytes of the answer and hang up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode())
            seen = b""
            while b"chunk" not in seen:
                seen += connection.recv(65536)
            return seen

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text(encoding="utf-8")

    def access(self, count: int) -> list[dict[str, Any]]:
        """Return the access lines when there are so many."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            lines = [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]
            found = [line for line in lines if line["logger"] == "obs.access"]
            if len(found) >= count:
                assert len(found) == count, [line["message"] for line in found]
                return found
            assert time.monotonic() < deadline, (
                f"{len(found)} access lines, not {count}: {self.stdout}{self.stderr}"
            )
            time.sleep(0.02)

    def stop(self) -> int:
        """Ask the server to end, as an orchestrator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def request_id(self) -> str:
        (value,) = self.headers.get_all("X-Request-ID")
        return str(value)


def free_port(in_a_row: int = 1) -> int:
    """Return a port that nobody has and no other test gets, in any process, while this process lives.

    One that was only closed again may be found free twice. Two servers that open it with SO_REUSEPORT (socket(7)), as
    hypercorn and granian do, then share it without a word, and each answers the other's clients.

    Args:
        in_a_row: how many ports, of which the first is returned.
    """
    with _taking:
        start = os.getpid() * 64 % len(_PORTS)  # where no other process begins
        found = 0
        for port in (*_PORTS[start:], *_PORTS[:start]):
            found = found + 1 if _take(port) else 0
            if found == in_a_row:
                return port - in_a_row + 1
    raise RuntimeError("all ports of tests are taken")


def _take(port: int) -> bool:
    if port in _taken:
        return False
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    _taken.add(port)
    return True


@cache
def _reservations() -> int:
    """Return the file whose bytes stand for ports: whoever has locked one has its port (fcntl(2)), until he ends."""
    path = Path(tempfile.gettempdir()) / f"obs-middleware-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def start(
    command: list[Any], *, folder: Path, env: Mapping[str, str], port: int | None = None
) -> Iterator[Server]:
    """Run a command in which `{port}` stands for a free port; what it prints goes to two files in the folder."""
    port = port or free_port()
    argv = [str(part).replace("{port}", str(port)) for part in command]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            argv, cwd=folder, env=dict(env), stdout=out, stderr=err, start_new_session=True
        )
    try:
        yield Server(process, port, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers too
        process.wait(STOP_SECONDS)


@contextlib.contextmanager
def serve(
    command: list[Any],
    *,
    folder: Path,
    env: Mapping[str, str],
    ready: str = "/health/ready",
    port: int | None = None,
) -> Iterator[Server]:
    """Start a server and wait until it is ready."""
    with start(command, folder=folder, env=env, port=port) as server:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert server.process.poll() is None, f"it ended at its start:\n{server.stdout}\n{server.stderr}"
            with contextlib.suppress(OSError, http.client.HTTPException):
                if server.get(ready).status == 200:
                    break
            assert time.monotonic() < deadline, f"it does not answer:\n{server.stdout}\n{server.stderr}"
            time.sleep(0.05)
        yield server


def gunicorn_options() -> list[str]:
    """Return options that keep gunicorn's own files out of the way."""
    from gunicorn.config import KNOWN_SETTINGS

    has_socket = any("--no-control-socket" in (setting.cli or ()) for setting in KNOWN_SETTINGS)
    return ["--worker-tmp-dir", "/dev/shm", *(["--no-control-socket"] if has_socket else [])]
