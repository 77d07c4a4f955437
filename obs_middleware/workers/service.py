"""This process as a member of a service: it joins, publishes, and reads what all members have."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from threading import Lock, RLock, local
from typing import Any, NamedTuple

import msgspec

from obs_middleware.workers import archive, calls, directory, locks, membership
from obs_middleware.workers.cells import Cells
from obs_middleware.workers.directory import Directory
from obs_middleware.workers.merge import Merge
from obs_middleware.workers.reader import Reader

_JOIN_SECONDS, _READ_SECONDS = 2.0, 5.0  # that one waits for the directory's lock
_FOLD_SECONDS = 10.0  # after which the dead are tried again for whom the archive had no room


class _Members(NamedTuple):
    """Who has a part of the numbers besides the archive."""

    living: list[str]
    dead: list[str]


class Service:
    """A member of one service; made in the process that it stands for.

    Args:
        publish: brings what this process has published up to date, when another asks.
        answers: whether a thread of ours runs between requests, and so can answer.
        inherited: writes what the parent had counted when it forked, which the first of its children alone counts.
        caps: returns the bounds of the metrics that have one, for what dead members have counted.

    Attributes:
        number: of this worker, the lowest that no other living one has.

    Raises:
        OSError: the directory can't be used, or is full.
    """

    def __init__(
        self,
        shared: Directory,
        *,
        publish: Callable[[], object],
        answers: bool,
        inherited: Callable[[Cells], object] | None = None,
        caps: archive.Caps = dict,
    ) -> None:
        self._caps = caps
        self._directory = shared
        self.folder = shared.path
        self._bring_up_to_date = publish
        self._here = local()
        self._readers: dict[str, Reader] = {}
        self._merge = Merge()
        self._reading = RLock()
        self._writing = Lock()
        self._next_fold = 0.0
        self._publications = count(1)
        self._written = 0  # the number of the publication that stands in the file
        with shared.locked(is_exclusive=True, timeout_seconds=_JOIN_SECONDS):
            members = self._members()
            living = members.living
            if living or not shared.is_group:
                self._fold_dead(members)
            else:
                _begin_anew(shared)
            if inherited is not None:
                self._count_inherited(inherited)
            self.number = _free_number(living)
            self.name = f"w{self.number}-{os.getpid()}-{time.time_ns():x}"
            self._lock_file = locks.hold(shared.path / f"{self.name}.lock")
            try:
                self.cells = Cells(shared.path / self.name)
            except OSError:
                os.close(self._lock_file)
                shared.remove(self.name)
                raise
        self._answers = self._answer() if answers else None

    def _count_inherited(self, write: Callable[[Cells], object]) -> None:
        parent = membership.facts(os.getppid())
        name = f"w0-{parent.name if parent else os.getppid()}"
        if name in archive.read_index(self._directory).parents:
            return
        self._directory.remove(name)  # of one who has died in the middle
        cells = Cells(self._directory.path / name)
        try:
            write(cells)
        finally:
            cells.close()
        archive.fold(self._directory, [name], self._caps, parent=name)

    def _answer(self) -> calls.Answers | None:
        with contextlib.suppress(OSError, RuntimeError):
            return calls.Answers(self._directory.path, self.name, self.cells, self._publish)
        return None

    def write(self, make: Callable[[], Any]) -> None:
        """Replace what this process publishes: what is no cell, as JSON.

        Args:
            make: returns it; of two threads, the one that has begun later is right.

        Raises:
            OSError: the directory is full, or gone.
            TypeError, ValueError: it is no JSON.
        """
        number = next(self._publications)
        content = msgspec.json.encode(make())
        path = self._directory.path / f"{self.name}.json"
        with self._writing:
            if number > self._written:
                new = path.with_suffix(".new")
                new.write_bytes(content)
                os.replace(new, path)
                self._written = number

    def published(self) -> dict[int, Any]:
        """Return what each living member has published, by its number."""
        found = {}
        living = (name for name, reader in self._readers.items() if not reader.is_dead)
        for name in filter(is_worker, living):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                text = (self._directory.path / f"{name}.json").read_bytes()
                found[number_of(name)] = msgspec.json.decode(text)
        return dict(sorted(found.items()))

    def read(self) -> None:
        """Read what all members have, after the living ones have brought it up to date.

        Raises:
            TimeoutError: another member has held the directory's lock for too long.
            OSError: the directory is gone, or no more files may be opened.
        """
        with self._reading:
            if not self._is_publishing:  # no hook that reads makes another publish, or this would never end
                calls.call(self._directory.path, self._others())
                self._publish()
            self._merge.take(self._fetch(), pauses=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[Merge]:
        """Give what was read last, and let no other thread read anew meanwhile."""
        with self._reading:
            yield self._merge

    def _fetch(self) -> list[Reader]:
        """Fetch what is new of the archive and of each member that is not in it; under the lock that is short."""
        with self._directory.locked(is_exclusive=False, timeout_seconds=_READ_SECONDS):
            members = self._members()
            if not members.dead or time.monotonic() < self._next_fold:
                return self._fetched(members)
        with self._directory.locked(is_exclusive=True, timeout_seconds=_READ_SECONDS):
            return self._fetched(self._fold_dead(self._members()))

    @property
    def _is_publishing(self) -> bool:
        return getattr(self._here, "is_publishing", False)

    def _publish(self) -> None:
        self._here.is_publishing = True
        try:
            self._bring_up_to_date()
        finally:
            self._here.is_publishing = False

    def _others(self) -> list[Reader]:
        folder = self._directory.path
        names = [path.stem for path in folder.glob("w*.sock") if path.stem != self.name]
        return [self._readers.get(name) or Reader(folder, name) for name in names]

    def _fetched(self, members: _Members) -> list[Reader]:
        index = archive.read_index(self._directory)
        # Whoever looks whether a dead member lives makes it seem so to others (locks.is_free).
        counted = [name for name in (*members.living, *members.dead) if name not in index.members]
        names = [*index.names, *counted]
        readers = {name: self._readers.get(name) or Reader(self._directory.path, name) for name in names}
        for name, reader in readers.items():
            reader.fetch()
            reader.is_dead = name in members.dead
        self._readers = readers
        return list(readers.values())

    def _members(self) -> _Members:
        """Return who has been a member and is not in the archive."""
        dead: list[str] = []
        living: list[str] = []
        for name in self._directory.members():
            is_own = name == getattr(self, "name", None)
            (living if is_own or self._directory.is_alive(name) else dead).append(name)
        return _Members(living, dead)

    def _fold_dead(self, members: _Members) -> _Members:
        """Move the dead into the archive; return who is left: the dead too where there is no room to do so."""
        if members.dead:
            try:
                archive.fold(self._directory, members.dead, self._caps)
            except OSError:  # full; their own files count until there is room
                self._next_fold = time.monotonic() + _FOLD_SECONDS
                return members
        return _Members(members.living, [])

    def abandon(self) -> None:
        """Be no member, as if this had never been one."""
        self.leave()
        self.cells.close()
        os.close(self._lock_file)
        self._directory.remove(self.name)

    def leave(self) -> None:
        """Stop answering, as in a child that is no member, or at the end; what was counted stays."""
        if self._answers is not None:
            self._answers.close()


def directory_of(
    supervisor: membership.Process | None, *, group: str, service_name: str, root: str | None
) -> Directory:
    """Return the directory of the service that this process belongs to, and remove those of services that are gone.

    Args:
        supervisor: who has started the processes; None where they are a group.
        group: the name of the group.
        service_name: tells apart two services of one supervisor.
        root: where directories are made; None: in shared memory, or where temporary files are.

    Raises:
        OSError: it can't be made.
    """
    if supervisor is None:
        shared = directory.of_group(root, group)
    else:
        shared = directory.of_supervisor(root, supervisor, service_name)
    with contextlib.suppress(OSError):
        directory.clean_up(shared)
    return shared


def is_worker(name: str) -> bool:
    """Tell whether a reader's name is a worker's, and not the archive's."""
    return name.startswith("w")


def number_of(member: str) -> int:
    """Return the number of a worker by its name."""
    return int(member[1:].partition("-")[0])


def _free_number(living: list[str]) -> int:
    taken = {number_of(name) for name in living}
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def _begin_anew(shared: Directory) -> None:
    for path in shared.path.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
