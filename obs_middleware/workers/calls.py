"""Calls from one member to another: bring what you publish up to date.

A member that is called flushes, and writes what only it can tell: its custom collectors, its process's memory. Its
thread sleeps in between. The caller waits a moment for the answers and goes on with what it has: a member whose
threads stand still keeps nobody.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from obs_middleware.workers.cells import ANSWERED, Cells
from obs_middleware.workers.reader import Reader

TIMEOUT_SECONDS = 0.25
_POLL_SECONDS = 0.0005


class Answers:
    """Answer calls in a thread.

    Args:
        publish: brings all up to date.

    Raises:
        OSError, RuntimeError: no socket or no thread is to be had.
    """

    def __init__(self, folder: Path, name: str, cells: Cells, publish: Callable[[], object]) -> None:
        self._cells = cells
        self._publish = publish
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _short(folder) as short:
            self._socket.bind(f"{short}/{name}.sock")
        threading.Thread(target=self._answer, name="obs-workers", daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                call = float(self._socket.recv(32))
            except OSError:  # it was closed
                return
            except ValueError:  # no call: whoever sends one must not silence us
                continue
            with contextlib.suppress(Exception):  # what it publishes is guarded by itself
                self._publish()
            self._cells.doubles[ANSWERED] = max(call, self._cells.doubles[ANSWERED])

    def close(self) -> None:
        """End the thread with its socket."""
        self._socket.close()


def call(folder: Path, readers: Iterable[Reader]) -> None:
    """Call members and wait until all have answered, but not for long."""
    number = float(time.monotonic_ns() // 1000)  # rises over all processes of a machine, exact as a double
    waiting = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, _short(folder) as short:
        sender.setblocking(False)
        for reader in readers:
            with contextlib.suppress(OSError):  # it is gone, it can't answer, or calls wait already
                sender.sendto(str(number).encode(), f"{short}/{reader.name}.sock")
                waiting.append(reader)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while waiting and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        waiting = [reader for reader in waiting if _answered(reader) < number]


def _answered(reader: Reader) -> float:
    try:
        return reader.answered()
    except OSError:  # gone
        return float("inf")


@contextlib.contextmanager
def _short(folder: Path):  # type: ignore[no-untyped-def]
    """Return another path of a folder: those of sockets have a hundred characters at most."""
    if len(str(folder)) < 60:
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
