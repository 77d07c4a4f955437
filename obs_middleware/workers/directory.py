"""The directory that the processes of one service share: private, locked for changes, removed when they are gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from obs_middleware.workers import membership
from obs_middleware.workers.locks import is_free, locked

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a directory of our own in it, of which we are sure
_GROUP = "g-"
_LEFT_SECONDS = 86_400.0  # after which a group of processes is taken for gone where none of them is alive


class Directory:
    """The directory of one service.

    Attributes:
        is_group: its processes have no supervisor, so that another run of them may find it.

    Raises:
        OSError: it can't be made, or it is somebody else's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_group = path.name.startswith(_GROUP)
        _make_private(path.parent)
        _make_private(path)

    @contextlib.contextmanager
    def locked(self, *, is_exclusive: bool, timeout_seconds: float) -> Iterator[None]:
        """Hold the directory's lock: others wait, those who only read not for each other.

        Raises:
            TimeoutError: somebody has held it for so long.
        """
        with locked(self.path / "lock", is_exclusive=is_exclusive, timeout_seconds=timeout_seconds):
            yield

    def members(self) -> list[str]:
        """Return the names of all that have been members, dead ones too, until they are in the archive."""
        return sorted(path.name.removesuffix(".lock") for path in self.path.glob("w*.lock"))

    def is_alive(self, member: str) -> bool:
        """Tell whether a member's process runs; not of this process itself, whose lock this would end."""
        return not is_free(self.path / f"{member}.lock")

    def remove(self, member: str) -> None:
        """Remove a member's files; its lock last, by which others find what is left if this is interrupted."""
        for path in sorted(self.path.glob(f"{member}.*"), key=lambda path: path.suffix == ".lock"):
            path.unlink(missing_ok=True)


def of_supervisor(root: str | None, supervisor: membership.Process, service_name: str) -> Directory:
    """Return the directory of all that one supervisor has started for one service."""
    return Directory(_base(root) / f"p-{_machine()}-{supervisor.name}-{_digest(service_name)}")


def of_group(root: str | None, group: str) -> Directory:
    """Return the directory of all processes whose setting names this group."""
    return Directory(_base(root) / f"{_GROUP}{_digest(group)}")


def clean_up(directory: Directory) -> None:
    """Remove the directories of services that are gone, which a crash or the end of a supervisor has left."""
    for path in directory.path.parent.iterdir():
        with contextlib.suppress(OSError):
            if path != directory.path and _is_left(path):
                shutil.rmtree(path)


def _is_left(path: Path) -> bool:
    kind, _, rest = path.name.partition("-")
    if kind == "p":
        machine, _, name = rest.rpartition("-")[0].partition("-")
        pid, _, started = name.partition(".")
        process = membership.facts(int(pid)) if pid.isdecimal() else None
        if machine == _machine() and process is not None and process.started == started:
            return False
        is_old = machine == _machine()
    else:
        is_old = False
    is_old = is_old or time.time() - path.stat().st_mtime > _LEFT_SECONDS
    return is_old and all(map(is_free, path.glob("w*.lock")))


def _base(root: str | None) -> Path:
    folder = root or (_SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else tempfile.gettempdir())
    return Path(folder) / f"obs-{os.getuid()}"


def _machine() -> str:
    """Return what tells process IDs of one boot and one container from those of another."""
    text = ""
    with contextlib.suppress(OSError):
        text += Path("/proc/sys/kernel/random/boot_id").read_text()
        text += os.readlink("/proc/self/ns/pid")
    return _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path} must be a directory of ours that nobody else may read")
