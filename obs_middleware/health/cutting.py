"""Ends a call of a driver that would wait for ever: its socket is shut down from outside.

Drivers of databases wait without a limit for a server that is stopped or a proxy that has forgotten them. The thread of
the check would then be lost, and the check with it, also when the database is well again.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Timer
from typing import Any


@contextmanager
def cut_after(seconds: float, connection: Any) -> Iterator[None]:
    """Shut the socket of a driver's connection down unless the block ends in time.

    Args:
        seconds: how long the block may take.
        connection: of psycopg, psycopg2, pymysql, or another one that has `fileno()`; with any other nothing is cut.

    Raises:
        TimeoutError: the block has taken longer, and failed therefore.
    """
    twin = _twin(connection)
    if twin is None:
        yield
        return
    was_cut: list[bool] = []

    def cut() -> None:
        was_cut.append(True)
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    with suppress(RuntimeError):  # no thread is to be had
        timer.start()
    try:
        yield
    except Exception as error:
        if was_cut:
            raise TimeoutError(f"no answer after {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
        twin.close()


@asynccontextmanager
async def ended_after(seconds: float, connection: Any) -> AsyncIterator[None]:
    """Do the same in an event loop of asyncio: for asyncpg, psycopg, and what has `terminate()` or `fileno()`.

    A task that is cancelled would let these drivers open one more connection, to tell the server so, and wait there.

    Raises:
        TimeoutError: the block has taken longer, and failed therefore.
    """
    import asyncio

    was_ended: list[bool] = []

    def end() -> None:
        was_ended.append(True)
        with suppress(Exception):  # already closed, or nothing that we know how to end
            _end(connection)

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        yield
    except Exception as error:
        if was_ended:
            raise TimeoutError(f"no answer after {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


def _end(connection: Any) -> None:
    if hasattr(connection, "terminate"):
        connection.terminate()
        return
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
        twin.shutdown(socket.SHUT_RDWR)


def _twin(connection: Any) -> socket.socket | None:
    """Return another handle of a connection's socket, which stays the same when the driver closes its own."""
    try:
        owner = connection if hasattr(connection, "fileno") else connection._sock  # pymysql
        return socket.fromfd(owner.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    except Exception:  # no socket, as of SQLite
        return None
