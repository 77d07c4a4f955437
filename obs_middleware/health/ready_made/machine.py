"""The machine: space on a disk; memory, against the limit of the container where it has one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from obs_middleware.errors import ConfigError
from obs_middleware.health.ready_check import SYSTEM, ReadyCheck, graded
from obs_middleware.health.result import Result

_NO_LIMIT = 1 << 60  # cgroup v1 says that there is no limit with a number near 2**63


def disk_space(
    path: str = "/", *, warn_below_percent: float = 10, fail_below_percent: float = 2
) -> ReadyCheck:
    """Check how much space of a disk is free for this process's user.

    Args:
        path: any on the disk.
        warn_below_percent: less than this degrades readiness.
        fail_below_percent: less than this fails.
    """
    return _DiskSpace(path, warn_below_percent, fail_below_percent)


def memory(
    *, warn_above_percent: float = 90, fail_above_percent: float | None = None, root: str = "/"
) -> ReadyCheck:
    """Check how much memory is in use, of the cgroup's limit (v1 or v2), else of the machine's memory.

    Pages of files that the kernel can drop at once do not count, as with Kubernetes.

    Args:
        warn_above_percent: more than this degrades readiness.
        fail_above_percent: more than this fails; nothing does unless given, because it takes a pod out of service.
        root: the folder that has `proc` and `sys`.

    Raises:
        ConfigError: the system shows neither.
    """
    check = _Memory(warn_above_percent, fail_above_percent, Path(root))
    try:
        check.usage()
    except (OSError, KeyError) as error:
        raise ConfigError(f"the check memory wants Linux, whose files it reads: {error!r}") from error
    return check


class _DiskSpace(ReadyCheck):
    component_type = SYSTEM

    def __init__(self, path: str, warn_below: float, fail_below: float) -> None:
        self._path, self._warn_below, self._fail_below = path, warn_below, fail_below

    def __call__(self) -> Result:
        usage = shutil.disk_usage(self._path)
        free = round(100 * usage.free / (usage.used + usage.free), 1)  # what root alone may use is left out
        output = f"{free:g} % of {self._path} is free, {usage.free >> 20} MiB"
        warns, fails = free < self._warn_below, free < self._fail_below
        return graded(free, "percent free", output, warns=warns, fails=fails)


class _Usage(NamedTuple):
    used: int
    limit: int
    of: str

    @property
    def share(self) -> float:
        return self.used / self.limit


class _Memory(ReadyCheck):
    component_type = SYSTEM

    def __init__(self, warn_above: float, fail_above: float | None, root: Path) -> None:
        self._warn_above, self._fail_above, self._root = warn_above, fail_above, root

    def __call__(self) -> Result:
        usage = self.usage()
        percent = round(100 * usage.share, 1)
        output = f"{percent:g} % of {usage.of} is in use, {usage.used >> 20} of {usage.limit >> 20} MiB"
        fails = self._fail_above is not None and percent > self._fail_above
        return graded(percent, "percent", output, warns=percent > self._warn_above, fails=fails)

    def usage(self) -> _Usage:
        """Return what is used the most: of this process's cgroup, of one around it, or of the machine."""
        found = [usage for folder in self._cgroups() if (usage := _of_cgroup(folder)) is not None]
        return max((*found, self._of_machine()), key=lambda usage: usage.share)

    def _cgroups(self) -> list[Path]:
        """Return this process's folder under /sys/fs/cgroup, and those around it."""
        try:
            lines = (self._root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        mount = self._root / "sys/fs/cgroup"
        for line in lines:  # v2: `0::/path`; v1: `4:memory:/path`
            number, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                mount = mount / "memory"
            elif number != "0" or controllers:
                continue
            inside = mount / path.strip("/")
            folders = [folder for folder in (inside, *inside.parents) if folder.is_relative_to(mount)]
            if any(_of_cgroup(folder) for folder in folders) or mount.name == "memory":
                return folders
        return []

    def _of_machine(self) -> _Usage:
        text = (self._root / "proc/meminfo").read_text(encoding="utf-8")
        kilobytes = {line.partition(":")[0]: int(line.split()[1]) for line in text.splitlines()}
        total = kilobytes["MemTotal"]
        return _Usage((total - kilobytes["MemAvailable"]) * 1024, total * 1024, "the machine's memory")


def _of_cgroup(folder: Path) -> _Usage | None:
    """Return what a cgroup uses; None where it has no limit, or is not seen from inside a container."""
    for limit_file, used_file, droppable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit = (folder / limit_file).read_text(encoding="utf-8").strip()
            used = int((folder / used_file).read_text(encoding="utf-8"))
            stat = (folder / "memory.stat").read_text(encoding="utf-8")
        except OSError:
            continue
        if limit == "max" or not 0 < int(limit) < _NO_LIMIT:
            return None
        numbers = dict(line.split(" ", 1) for line in stat.splitlines())
        return _Usage(max(0, used - int(numbers.get(droppable, 0))), int(limit), "the container's limit")
    return None
