"""Which processes are one service: those that one supervisor has started to serve the same app.

Two services that were started from one shell have the shell in common, and so are told apart: a parent counts as a
supervisor only where it has started this process to serve, as gunicorn, uvicorn, hypercorn, granian and uWSGI do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

_RELOADERS = (
    "RUN_MAIN",
    "WERKZEUG_RUN_MAIN",
)  # Django's and Werkzeug's: one process, started again and again

_PROC = "/proc"
_RENAMED = "gunicorn: master"


class Process(NamedTuple):
    """What tells a process from a later one that has got the same ID."""

    pid: int
    started: str
    command: str

    @property
    def name(self) -> str:
        """Return a name that no other process of this machine has until it starts anew."""
        return f"{self.pid}.{self.started}"


def supervisor() -> Process | None:
    """Return the process that has started this one and its siblings; None where this one is alone."""
    pid = _of_uwsgi() or _of_multiprocessing() or _of_fork()
    return None if pid is None else facts(pid)


def facts(pid: int) -> Process | None:
    """Return what the system knows of a process; None where there is none with this ID."""
    try:
        return _by_proc(pid) if Path(_PROC, "self/stat").exists() else _by_ps(pid)
    except (OSError, IndexError):
        return None


def _by_proc(pid: int) -> Process | None:
    folder = Path(_PROC, str(pid))
    # The name of the command is in parentheses, and may have some itself (proc(5)).
    fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return None if fields[0] == "Z" else Process(pid, fields[19], command)


def _by_ps(pid: int) -> Process | None:
    import subprocess  # where it is needed

    asked = ["ps", "-o", "lstart=,command=", "-p", str(pid)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603 - ours alone
    words = done.stdout.split()
    return Process(pid, "-".join(words[1:5]).replace(":", "-"), " ".join(words[5:])) if words else None


def _of_uwsgi() -> int | None:
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None or getattr(uwsgi, "numproc", 1) < 2 or uwsgi.worker_id() == 0:  # 0: the master
        return None
    workers = uwsgi.workers()  # the first has started the others where there is no master
    return uwsgi.masterpid() or (workers[0]["pid"] if workers else None)


def _of_multiprocessing() -> int | None:
    multiprocessing = sys.modules.get("multiprocessing.process")
    parent = multiprocessing.parent_process() if multiprocessing is not None else None
    return None if parent is None else parent.pid


def _of_fork() -> int | None:
    """Return the parent where it is the same program: a fork has its parent's command line until it runs another."""
    parent = os.getppid()
    if any(name in os.environ for name in _RELOADERS):
        return None
    own, other = facts(os.getpid()), facts(parent)
    if own is None or other is None:
        return None
    # gunicorn renames its processes where setproctitle is installed.
    return parent if other.command == own.command or other.command.startswith(_RENAMED) else None
