"""The directory of a service: private, and removed when all of its processes are gone."""

from __future__ import annotations

import os
import stat
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from obs_middleware.workers import directory, locks
from obs_middleware.workers.membership import Process, facts
from tests.core.workers.working import Workers

pytestmark = pytest.mark.skipif(not locks.is_supported, reason="no file locks on this system")


def own() -> Process:
    found = facts(os.getpid())
    assert found is not None
    return found


def test_nobody_else_may_look_into_it(group: Workers) -> None:
    group.start().numbers()
    for path in group.folder.rglob("*"):
        allowed = stat.S_IMODE(path.stat().st_mode)
        if path.suffix not in (".json", ".sock"):  # in a private directory
            assert not allowed & 0o077, path


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"obs-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="nobody else may read"):
        directory.of_group(str(tmp_path), "shop")


def test_directories_of_supervisors_that_have_ended_are_removed(tmp_path: Path) -> None:
    gone = own()._replace(pid=2**22 + 1)
    reused = own()._replace(started="1")
    kept = directory.of_supervisor(str(tmp_path), own(), "shop")
    left = [directory.of_supervisor(str(tmp_path), process, "shop") for process in (gone, reused)]
    new = directory.of_group(str(tmp_path), "shop")
    directory.clean_up(new)
    assert [one.path.exists() for one in (kept, new, *left)] == [True, True, False, False]


def test_directories_in_which_a_process_lives_stay(group: Workers) -> None:
    group.start()
    (folder,) = (path.parent for path in group.folder.rglob("*.cells"))
    old = time.time() - 90_000
    os.utime(folder, (old, old))
    directory.clean_up(directory.of_group(str(group.folder), "other"))
    assert folder.exists()
    group.end()
    os.utime(folder, (old, old))
    directory.clean_up(directory.of_group(str(group.folder), "other"))
    assert not folder.exists()


def test_a_change_waits_for_those_who_read(tmp_path: Path) -> None:
    shared = directory.of_group(str(tmp_path), "shop")

    def locked(*, is_exclusive: bool) -> AbstractContextManager[None]:
        return shared.locked(is_exclusive=is_exclusive, timeout_seconds=0.01)

    with (
        locked(is_exclusive=False),
        locked(is_exclusive=False),
        pytest.raises(TimeoutError),
        locked(is_exclusive=True),
    ):
        pass
    with locked(is_exclusive=True):
        pass


def test_two_services_of_one_supervisor_have_two_directories(tmp_path: Path) -> None:
    paths = {directory.of_supervisor(str(tmp_path), own(), name).path for name in ("shop", "stock")}
    assert len(paths) == 2
