"""Ready-made checks of the machine and of the event loop."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from obs_middleware import ConfigError, Observer
from obs_middleware.health.ready_made import disk_space, event_loop_lag, memory
from tests.core.health.probing import detail
from tests.core.support import eventually

MIB = 1 << 20


def found_of(own: Observer, check: object) -> dict[str, object]:
    own.health.add("machine", check)  # type: ignore[arg-type]
    eventually(lambda: detail(own, "machine").get("output") != "no answer yet")
    return detail(own, "machine")


@pytest.mark.parametrize(
    ("warn_below", "fail_below", "status"), [(0, 0, "pass"), (101, 0, "warn"), (101, 101, "fail")]
)
def test_disk_is_graded_by_its_free_space(
    warn_below: float, fail_below: float, status: str, own: Observer, tmp_path: Path
) -> None:
    check = disk_space(str(tmp_path), warn_below_percent=warn_below, fail_below_percent=fail_below)
    found = found_of(own, check)
    usage = shutil.disk_usage(tmp_path)
    assert found["status"] == status
    assert found["observedUnit"] == "percent free"
    assert found["observedValue"] == pytest.approx(100 * usage.free / (usage.used + usage.free), abs=1)
    assert ("is free" in str(found.get("output"))) is (status != "pass")


def files(root: Path, contents: dict[str, str]) -> str:
    """Write what a kernel shows of a machine with 1000 MiB, of which 100 are in use, and of its cgroups."""
    meminfo = f"MemTotal: {1000 * 1024} kB\nMemFree: 1 kB\nMemAvailable: {900 * 1024} kB\n"
    for name, text in {"proc/meminfo": meminfo, **contents}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def v2(folder: str, limit: str, used: int, droppable: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup{folder}/memory.current": f"{used * MIB}\n",
        f"sys/fs/cgroup{folder}/memory.stat": f"anon 5\ninactive_file {droppable * MIB}\n",
    }


def v1(folder: str, limit: int, used: int, droppable: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/memory{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory{folder}/memory.usage_in_bytes": f"{used * MIB}\n",
        f"sys/fs/cgroup/memory{folder}/memory.stat": f"cache 5\ntotal_inactive_file {droppable * MIB}\n",
    }


V1, V2 = "5:cpu,cpuacct:/pod\n4:memory:/pod\n1:name=systemd:/x\n0::/x\n", "0::/pod\n"
UNLIMITED = 9223372036854771712


@pytest.mark.parametrize(
    ("contents", "percent"),
    [
        ({}, 10),  # no cgroups
        ({"proc/self/cgroup": V2, **v2("/pod", str(200 * MIB), 150, 50)}, 50),
        ({"proc/self/cgroup": V2, **v2("/pod", "max", 150)}, 10),
        ({"proc/self/cgroup": V2, **v2("", str(200 * MIB), 150)}, 75),  # seen from inside a container
        (
            {"proc/self/cgroup": V2, **v2("/pod", "max", 150), **v2("", str(500 * MIB), 400)},
            80,
        ),  # of one around
        ({"proc/self/cgroup": V2, **v2("/pod", str(200 * MIB), 10)}, 10),  # the machine has less
        ({"proc/self/cgroup": V1, **v1("/pod", 200 * MIB, 150, 50)}, 50),
        ({"proc/self/cgroup": V1, **v1("/pod", UNLIMITED, 150)}, 10),
        ({"proc/self/cgroup": V1, **v1("", 200 * MIB, 150)}, 75),
        ({"proc/self/cgroup": "3:cpu:/pod\n"}, 10),
    ],
)
def test_memory_is_measured_against_the_nearest_limit(
    contents: dict[str, str], percent: float, own: Observer, tmp_path: Path
) -> None:
    found = found_of(own, memory(root=files(tmp_path, contents)))
    assert (found["status"], found["observedValue"], found["observedUnit"]) == ("pass", percent, "percent")


@pytest.mark.parametrize(("fail_above", "status"), [(None, "warn"), (95, "warn"), (80, "fail")])
def test_memory_fails_only_where_a_bound_says_so(
    fail_above: float | None, status: str, own: Observer, tmp_path: Path
) -> None:
    root = files(tmp_path, {"proc/self/cgroup": V2, **v2("/pod", str(200 * MIB), 190, 4)})
    found = found_of(own, memory(root=root, fail_above_percent=fail_above))
    assert (found["status"], found["observedValue"]) == (status, 93)
    assert found["output"] == "93 % of the container's limit is in use, 186 of 200 MiB"


def test_memory_of_this_machine_is_seen(own: Observer) -> None:
    assert 0 < float(str(found_of(own, memory(warn_above_percent=100))["observedValue"])) <= 100


def test_memory_where_no_kernel_shows_it_is_an_error_when_the_check_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wants Linux"):
        memory(root=str(tmp_path))


@pytest.fixture
def loop(own: Observer) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve the app in an event loop of a thread of its own."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    own.gateway.started(loop=made)
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def test_loop_that_is_idle_has_no_lag(own: Observer, loop: asyncio.AbstractEventLoop) -> None:
    found = found_of(own, event_loop_lag(warn_above_seconds=30))
    assert (found["status"], found["observedUnit"]) == ("pass", "ms")


@pytest.mark.parametrize(("fail_above", "status"), [(None, "warn"), (0.04, "fail")])
def test_loop_that_is_blocked_for_a_moment_is_graded_by_its_lag(
    fail_above: float | None, status: str, own: Observer, loop: asyncio.AbstractEventLoop
) -> None:
    check, asked = event_loop_lag(warn_above_seconds=0.03, fail_above_seconds=fail_above), threading.Event()

    def ask() -> Awaitable[Any]:
        answer = check()
        asked.set()
        return answer

    def block() -> None:
        asked.wait()
        time.sleep(0.05)

    loop.call_soon_threadsafe(block)
    found = found_of(own, ask)
    assert found["status"] == status
    assert float(str(found["observedValue"])) >= 30
    assert str(found["output"]).startswith("the event loop has answered after ")


def test_loop_that_is_stuck_fails_by_the_time_limit(own: Observer, loop: asyncio.AbstractEventLoop) -> None:
    stuck = threading.Event()
    loop.call_soon_threadsafe(stuck.wait)
    own.health.add("machine", event_loop_lag(), every_seconds=0, timeout_seconds=0.05)
    eventually(lambda: "no answer after 0.05 s" in detail(own, "machine").get("output", ""))
    stuck.set()
    eventually(lambda: detail(own, "machine")["status"] == "pass")
