"""Real faults: a process that is killed or stops answering, a database that is locked."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

from example_apps.demo.processes import Running, send_signal


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children at once, without a word to them."""
    send_signal(process, signal.SIGKILL)
    process.wait()


@contextmanager
def not_answering(one: Running) -> Iterator[None]:
    """Stop a service, as a network does that loses its packets: connections are made, and no answer comes."""
    send_signal(one.process, signal.SIGSTOP)
    try:
        yield
    finally:
        send_signal(one.process, signal.SIGCONT)


@contextmanager
def worker_not_answering(one: Running) -> Iterator[None]:
    """Stop one worker of a service in the same way; the others go on. It wants Linux."""
    pid = one.process.pid
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


@contextmanager
def locked(database: Path, *, held_seconds: float, free_seconds: float) -> Iterator[None]:
    """Take the lock of an SQLite database again and again, as another program's long transactions do."""
    is_over = Event()

    def hold() -> None:
        while not is_over.wait(free_seconds):
            with closing(sqlite3.connect(database, timeout=30.0, isolation_level=None)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                is_over.wait(held_seconds)
                connection.execute("ROLLBACK")

    holder = Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        is_over.set()
        holder.join()
