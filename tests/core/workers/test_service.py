"""A service over its life: members die at any moment, fill the disk, and come back."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from obs_middleware.workers import archive, calls
from obs_middleware.workers.cells import Cells
from obs_middleware.workers.directory import of_group
from obs_middleware.workers.merge import Merge
from obs_middleware.workers.reader import Reader
from obs_middleware.workers.service import Service
from tests.core.support import eventually
from tests.core.workers.working import Workers, samples

pytestmark = pytest.mark.once  # processes that die: seconds, and nothing of it is a Python version's

ROOM = "import resource; most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]; "
ROOM += "resource.setrlimit(resource.RLIMIT_FSIZE, ({}, most))"
ROOM_AGAIN = ROOM.format("most")  # for what coverage writes at the end
COUNTER = "counter = Counter('orders', 'Orders taken.')\n"
COUNTING = """
import os, sys
from prometheus_client import Counter, Histogram
from obs_middleware import Observer, RequestInfo
own = Observer(access_log=False)
own.gateway.started()
counter, sizes = Counter("orders", "Orders taken."), Histogram("sizes", "Sizes.", ("of",))
number = 0
while True:
    counter.inc()
    sizes.labels(str(number % 50)).observe(1.5)
    number += 1
    os.write(1, b"%d\\n" % number)
"""

PRELOADED = """
import os, threading
from prometheus_client import Counter, Histogram
from obs_middleware import Observer, RequestInfo
own = Observer(access_log=False)
counter, sizes = Counter("orders", "Orders taken."), Histogram("sizes", "Sizes.", ("of",))
together = threading.Barrier(8)

def serve():
    together.wait()
    for number in range(20):
        exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
        counter.inc()
        sizes.labels(str(number)).observe(1.5)
        exchange.finish()

for _ in range(2):
    if not os.fork():
        threads = [threading.Thread(target=serve) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)
    os.wait()
"""


def http(route: str) -> str:
    labels = 'error_type="",http_request_method="GET",http_response_status_code="200"'
    return f'http_server_request_duration_seconds_count{{{labels},http_route="{route}"}}'


def test_a_writer_that_is_killed_at_any_moment_leaves_whole_numbers(group: Workers) -> None:
    """Eight times: no number is torn, and none is lower than what was counted when it was said so."""
    reader = group.start()
    total, most = 0, 0
    for round_ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", COUNTING], stdout=subprocess.PIPE, env=group.env)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.01 * round_)
        writer.kill()
        said = int(writer.stdout.read().decode().rpartition("\n")[0].rpartition("\n")[2] or 1)
        writer.wait()
        writer.stdout.close()
        total, most = total + said, most + said + 1
        found = reader.numbers()
        assert total <= found["orders_total"] <= most
        buckets = [value for name, value in found.items() if name.startswith("sizes_count")]
        assert total - round_ - 1 <= sum(buckets) <= most
        most = int(found["orders_total"])
        total = most


def test_requests_that_start_while_a_forked_worker_joins_are_counted(group: Workers) -> None:
    """In other threads than the first request's: they wait, because a worker that has joined begins at 0."""
    reader = group.start()
    subprocess.run([sys.executable, "-c", PRELOADED], env=group.env, check=True)
    found = reader.numbers()
    assert found["orders_total"] == 2 * 8 * 20
    assert sum(value for name, value in found.items() if name.startswith("sizes_count")) == 2 * 8 * 20


def test_readers_and_writers_at_once_never_see_a_number_go_back(group: Workers) -> None:
    """While series are made, workers come and go and two threads make pages."""
    reader = group.start(COUNTER)
    writers = [
        subprocess.Popen([sys.executable, "-c", COUNTING], stdout=subprocess.DEVNULL, env=group.env)
        for _ in range(2)
    ]
    last, turn = 0.0, 0
    while turn < 20:
        found = reader.numbers()
        assert found["orders_total"] >= last
        last = found["orders_total"]
        turn += last > 0
        if turn == 10:
            writers[0].kill()
            writers[0].wait()
    for writer in writers:
        writer.kill()
        writer.wait()
    assert reader.numbers()["orders_total"] >= last > 0


def test_what_is_folded_twice_counts_once(group: Workers) -> None:
    """One dies after the archive was replaced and before the files of the dead were removed."""
    one, two = group.start(COUNTER), group.start(COUNTER)
    one.do("counter.inc(3)")
    one.kill()
    kept = {path: path.read_bytes() for path in group.folder.rglob("w1-*") if path.suffix != ".sock"}
    assert two.numbers()["orders_total"] == 3
    for path, content in kept.items():
        assert not path.exists()
        path.write_bytes(content)
    (lock_file,) = (path for path in kept if path.suffix == ".lock")
    with lock_file.open("r+b") as looked_at:  # by a third, to whom the dead one seems to live meanwhile
        fcntl.lockf(looked_at, fcntl.LOCK_EX)
        assert two.numbers()["orders_total"] == 3
    three = group.start(COUNTER)
    three.do("counter.inc(4)")
    three.kill()
    assert two.numbers()["orders_total"] == 7
    assert not any(path.exists() for path in kept)


def test_an_archive_that_was_not_finished_counts_for_nothing(group: Workers) -> None:
    one, two = group.start(COUNTER), group.start(COUNTER)
    one.do("counter.inc(3)")
    (folder,) = (path.parent for path in group.folder.rglob("w1-*.cells"))
    for suffix in ("cells", "names", "exemplars"):
        (folder / f"archive1.{suffix}").write_bytes(b"half")
    (folder / "archive.new").write_bytes(b"half")
    one.kill()
    assert two.numbers()["orders_total"] == 3


def test_where_the_disk_is_full_nothing_fails_and_nothing_goes_back(group: Workers) -> None:
    code = "from obs_middleware.metrics import worker_metrics as of_workers\n"
    code += "of_workers._NO_ROOM_SECONDS = 0.0\n"
    code += "counter = Counter('orders', 'Orders taken.', ('of',))\n"
    one, two = group.start(code), group.start(code)
    one.do("counter.labels('first').inc(); serve('/first')")
    one.do(ROOM.format(40_000))
    one.do("for number in range(6000): counter.labels(str(number)).inc()")
    one.do("for number in range(200): serve(f'/{number}')")
    one.do("counter.labels('first').inc()")
    found = two.numbers()
    assert found['orders_total{of="first"}'] == 2
    assert one.numbers()['orders_total{of="first"}'] == 2
    assert one.do("counter.labels('5999')._value.get()") == 1
    assert "failed in workers" in one.errors()
    one.do(ROOM_AGAIN)
    one.numbers()
    found = two.numbers()
    assert found['orders_total{of="5999"}'] == 1
    assert sum(found[http(f"/{number}")] for number in range(200)) == 200
    one.do("serve('/7'), counter.labels('5999').inc()")
    found = two.numbers()
    assert (found[http("/7")], found[http("/first")], found['orders_total{of="5999"}']) == (2, 1, 2)


@pytest.mark.parametrize("room", [10_000, 33_000, 40_000])
def test_where_there_is_no_room_to_join_a_process_is_alone(group: Workers, room: int) -> None:
    code = "counter = Counter('orders', 'Orders taken.', ('of',))\n"
    code += "for number in range(3000): counter.labels(str(number)).inc()\n"
    code += ROOM.format(room)
    one, two = group.start(code), group.start()
    one.do("counter.labels('7').inc(); serve('/items')")
    found = one.numbers()
    assert found['orders_total{of="7"}'] == 2
    assert found[http("/items")] == 1
    assert one.errors().count("the metrics are those of this process alone") == 1
    assert two.numbers()['obs_fast_path{name="queue"}'] in (0, 1)
    one.do(ROOM_AGAIN)


SECOND_FINDS_NO_ROOM = """
from prometheus_client import CollectorRegistry
from obs_middleware import Observer, RequestInfo
from obs_middleware.metrics.table_storage import TableStorage
real = TableStorage.use
def use(storage):
    if storage._name.startswith("1 "):
        raise OSError(28, "No space left on device")
    real(storage)
TableStorage.use = use
first = Observer(registry=CollectorRegistry(), access_log=False)

def serve_first(route):
    exchange = first.gateway.start(RequestInfo("GET", "/", "", "http", {}.get))
    exchange.status, exchange.route = 200, route
    exchange.finish()

def page_of_first():
    return first.gateway.reply(RequestInfo("GET", "/metrics", "", "http", {}.get), "/metrics").body.decode()
"""


def test_where_one_registry_finds_no_room_to_join_all_go_on_alone(group: Workers) -> None:
    one = group.start(SECOND_FINDS_NO_ROOM)
    one.do("serve('/a'), serve_first('/a')")
    assert one.numbers()[http("/a")] == 1
    one.do("serve('/b'), serve_first('/b'), serve_first('/a')")
    assert one.numbers()[http("/b")] == 1
    found = samples(one.do("page_of_first()"))
    assert (found[http("/a")], found[http("/b")]) == (2, 1)
    assert one.errors().count("the metrics are those of this process alone") == 1
    assert "failed in" not in one.errors()
    assert not [name for name in group.files if name.startswith("w")]


def test_while_a_lock_is_held_a_scrape_fails_and_who_joins_does_so_later(group: Workers) -> None:
    """A page with the numbers of one alone would be a reset of all counters. It takes the seconds of the lock."""
    one = group.start(COUNTER)
    group.lock_seconds = 2.0, 5.0
    two = group.start(COUNTER, OBS_LOG_LEVEL="CRITICAL")
    for worker in (one, two):
        worker.do("counter.inc(3)")
    assert one.numbers()["orders_total"] == two.numbers()["orders_total"] == 6
    (lock,) = group.folder.rglob("lock")
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert two.status() == 503
        three = group.start(COUNTER, OBS_LOG_LEVEL="CRITICAL")
        three.do("counter.inc(4)")
    eventually(lambda: one.numbers()["orders_total"] == 10)
    assert three.numbers()["orders_total"] == 10


def test_where_the_disk_is_full_the_dead_are_counted_where_they_are(group: Workers) -> None:
    one, two = group.start(OF_EACH_KIND), group.start(OF_EACH_KIND + OFTEN)
    one.do("counter.inc(3), living.set(5), most.set(7)")
    two.do("counter.inc(2), living.set(1), most.set(2)")
    assert two.numbers()["orders_total"] == 5
    one.kill()
    two.do(ROOM.format(100))
    files = two.do("len(os.listdir('/proc/self/fd'))")
    for _ in range(3):
        found = two.numbers()
        assert (found["orders_total"], found["jobs"], found["most"]) == (5, 1, 7)
        assert [name for name in found if name.startswith("process_max_fds")] == [
            'process_max_fds{worker="2"}'
        ]
        time.sleep(0.02)  # and the archive is tried again
    assert two.do("len(os.listdir('/proc/self/fd'))") == files
    assert not [name for name in group.files if name.startswith("archive")]
    two.do(ROOM_AGAIN)
    eventually(lambda: two.numbers() and not [name for name in group.files if name.startswith("w1-")])
    assert two.numbers()["orders_total"] == 5


OF_EACH_KIND = """
counter = Counter("orders", "Orders taken.")
living = Gauge("jobs", "Jobs.", multiprocess_mode="livesum")
most = Gauge("most", "Jobs.", multiprocess_mode="max")
"""
OFTEN = """
from obs_middleware.workers import service
service._FOLD_SECONDS = 0.01
"""


CUT = """
from obs_middleware.metrics import worker_metrics as of_workers
of_workers._NO_ROOM_SECONDS = 0.0
times = Histogram("pay", "Pay.", ("bank",), buckets=(1, 2, 3, 4, 5))
sizes = Summary("sizes", "Sizes.")
def pay(bank):
    for seconds in (0.5, 1.5, 2.5, 3.5, 4.5, 9):
        times.labels(bank).observe(seconds)
"""


@pytest.mark.parametrize("room", range(20, 220, 40))
def test_what_has_found_no_room_is_shared_when_there_is_some(group: Workers, room: int) -> None:
    """Wherever the disk is full: in the middle of what a histogram says of itself, or of its first series."""
    one, two = group.start(CUT, OBS_LOG_LEVEL="CRITICAL"), group.start(OBS_LOG_LEVEL="CRITICAL")
    one.numbers()
    one.do(f"real, left = os.write, {room}")
    # A disk that takes some bytes more.
    one.do(
        "def write(fd, text):\n"
        "    global left\n"
        "    left -= len(text)\n"
        "    if left < 0: raise OSError(28, 'No space left on device')\n"
        "    return real(fd, text)\n"
    )
    one.do("os.write = write")
    one.do("pay('first')")
    one.do("os.write = real")
    one.do("pay('second')")
    one.numbers()  # its numbers have room again
    found = two.numbers()
    for bank in ("first", "second"):
        buckets = [
            found[f'pay_bucket{{bank="{bank}",le="{bound}"}}'] for bound in ("1.0", "3.0", "5.0", "+Inf")
        ]
        assert (buckets, found[f'pay_sum{{bank="{bank}"}}']) == ([1, 3, 5, 6], 21.5)
    assert found['obs_internal_errors_total{component="workers"}'] >= 1


FULL_FOR_A_MOMENT = """
import threading
report = of_workers.places._report
def full(component, error):  # its metric does not know the series yet, for which there was no room
    report(component, error)
    os.write = real
    sharing = threading.Thread(target=of_workers.worker_metrics.publish)
    sharing.start()
    sharing.join()
def refuse(fd, text):
    raise OSError(28, 'No space left on device')
real, os.write = os.write, refuse
of_workers.places._report = full
"""


def test_a_series_that_finds_no_room_while_all_others_are_shared_is_shared_too(group: Workers) -> None:
    one, two = group.start(CUT, OBS_LOG_LEVEL="CRITICAL"), group.start(OBS_LOG_LEVEL="CRITICAL")
    one.numbers()
    one.do(f"exec({FULL_FOR_A_MOMENT!r}, globals())")
    one.do("pay('first')")
    assert two.numbers()['pay_bucket{bank="first",le="+Inf"}'] == 6


def test_where_there_is_no_room_the_page_says_so(group: Workers) -> None:
    one = group.start()
    assert one.numbers()['obs_internal_errors_total{component="workers"}'] == 0
    one.do(ROOM.format(100))
    one.do("Counter('orders', 'Orders taken.').inc()")
    assert one.numbers()['obs_internal_errors_total{component="workers"}'] >= 1
    one.do(ROOM_AGAIN)


LATE = """
from obs_middleware.metrics import replaced_values
from obs_middleware.metrics.worker_metrics import WorkerMetrics
share_late, joined = WorkerMetrics._share_late, []
WorkerMetrics._share_late = lambda self: joined.append(self)  # it goes on when the test says so
found, replaced_values.children_of = replaced_values.children_of, lambda metric: []  # as one that is being made
counter = Counter("orders", "Orders taken.")
"""


def test_a_series_that_a_thread_makes_while_its_process_joins_is_shared(group: Workers) -> None:
    one = group.start(LATE)
    one.do("counter.inc(3)")
    assert "orders_total" not in one.numbers()
    one.do("replaced_values.children_of = found")
    one.do("share_late(joined.pop())")
    eventually(lambda: one.numbers().get("orders_total") == 3)


def test_a_series_that_is_removed_and_comes_again_takes_no_more_room(group: Workers) -> None:
    """As of a hook that clears its gauge before each page."""
    one = group.start("gauge = Gauge('shops', 'Shops.', ('name',))")
    refresh = "gauge.clear(), [gauge.labels(str(number)).set(number) for number in range(20)]"
    one.do(f"({refresh}) and page() and None")
    before = size_of_names(group)
    for _ in range(20):
        one.do(f"({refresh}) and page() and None")
    assert size_of_names(group) == before
    assert one.numbers()['shops{name="19",worker="1"}'] == 19


def size_of_names(group: Workers) -> int:
    return sum(path.stat().st_size for path in group.folder.rglob("*.names"))


def test_a_group_that_has_filled_its_disk_begins_anew_without_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = of_group(str(tmp_path), "shop")
    for name in ("w1-7-a", "w2-8-b"):
        Cells(shared.path / name).close()
        (shared.path / f"{name}.lock").touch()

    def full(*args: object, **keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "fold", full)
    service = Service(shared, publish=lambda: None, answers=False)
    assert [path.stem for path in shared.path.glob("*.cells")] == [service.name]
    files = len(os.listdir("/proc/self/fd"))
    service.abandon()
    assert len(os.listdir("/proc/self/fd")) == files - 4
    assert not list(shared.path.glob("w*"))


MANY = """
counters = [Counter(f"orders_{number}", "Orders taken.", ("of",)) for number in range(10)]
def count():
    for counter in counters:
        for of in range(100):
            counter.labels(str(of)).inc()

def snapshots(seconds):
    import threading, time
    end, failed = time.monotonic() + seconds, []
    def take():
        while time.monotonic() < end:
            try:
                own.metrics.snapshot()
            except Exception as error:
                failed.append(repr(error))
    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads: thread.start()
    least = {}
    while any(thread.is_alive() for thread in threads):
        lines = [line.rsplit(" ", 1) for line in page().splitlines() if line.startswith("orders_")]
        now = {name: float(value) for name, value in lines}
        failed += [name for name, value in least.items() if now.get(name, 0.0) < value]
        least = now
    return failed
"""


def test_pages_and_snapshots_at_once_lose_nothing_while_others_die(group: Workers) -> None:
    """It reads for two seconds, because it meets a change only by chance."""
    group.call_seconds = 0.25  # some die before they have answered
    one = group.start(MANY)
    one.do("count()")
    others = [group.start(MANY) for _ in range(4)]
    for other in others:
        other.do("count()")
        other.numbers()

    def end() -> None:
        for other in others:
            time.sleep(0.3)
            other.kill()

    thread = threading.Thread(target=end)
    thread.start()
    assert one.do("snapshots(2)") == []
    thread.join()
    assert one.numbers()['orders_3_total{of="7"}'] == 5


def test_a_worker_that_stands_still_keeps_nobody_for_long(group: Workers) -> None:
    group.call_seconds = 0.25
    one, two = group.start(COUNTER), group.start(COUNTER)
    one.do("counter.inc()")
    two.numbers()
    pid = one.do("os.getpid()")
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        assert two.numbers()["orders_total"] == 1
        assert time.monotonic() - begun < 25
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_group_that_has_ended_begins_anew(group: Workers) -> None:
    one = group.start(COUNTER)
    one.do("counter.inc()")
    one.stop()
    two = group.start(COUNTER)
    assert two.numbers()["orders_total"] == 0


def test_a_directory_that_somebody_removes_leaves_each_process_its_own_numbers(group: Workers) -> None:
    one = group.start(COUNTER)
    one.do("counter.inc()")
    one.do("exec('import shutil; shutil.rmtree(os.environ[\"OBS_METRICS_DIRECTORY\"])', globals())")
    assert one.numbers()["orders_total"] == 1


def test_sockets_are_found_in_a_directory_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    group = Workers(folder)
    one, two = group.start(), group.start()
    one.do('exec(\'late = Counter("late", "x"); late.inc()\', globals())')
    assert two.numbers()["late_total"] == 1  # its name is published when it is asked
    group.end()


@pytest.mark.parametrize("kept", [(), (".cells",), (".cells", ".names")])
def test_a_worker_that_is_killed_while_it_joins_costs_nobody_anything(
    group: Workers, kept: tuple[str, ...]
) -> None:
    """It has its lock already, and lacks some of its files; those that it has are empty."""
    one = group.start(COUNTER)
    one.do("counter.inc()")
    assert one.numbers()["orders_total"] == 1
    folder = next(group.folder.rglob("w*.lock")).parent
    for end in (".lock", *kept):
        (folder / f"w9-99999-abc{end}").touch()
    two = group.start(COUNTER)
    two.do("counter.inc(2)")
    assert one.numbers()["orders_total"] == two.numbers()["orders_total"] == 3
    assert not [name for name in group.files if name.startswith("w9-")]


def test_files_that_a_crash_has_left_of_a_member_in_the_archive_are_removed(tmp_path: Path) -> None:
    shared = of_group(str(tmp_path), "shop")
    for name, count in (("w1-7-a", 3.0), ("w1-8-b", 4.0)):
        cells = Cells(shared.path / name)
        cells.note("f", 0, "orders", "counter", "Orders taken.", [], "")
        cells.note("s", 0, "_total", None)
        first = cells.reserve(1)
        assert first is not None
        cells.doubles[first] = count
        cells.note(0, first)
        cells.close()
    left = {path: path.read_bytes() for path in shared.path.glob("w1-7-a.*")}
    index = archive.fold(shared, ["w1-7-a", "w1-8-b"])
    for path, content in left.items():
        path.write_bytes(content)
    assert archive.fold(shared, ["w1-7-a"]) == index
    assert sorted(path.name for path in shared.path.glob("*.cells")) == [
        "archive1.cells",
        "archive1.rest.cells",
    ]
    merge = Merge()
    merge.read([Reader(shared.path, "archive1")])
    (family,) = merge.families.values()
    assert [list(family.sums(merge.readers.values(), block)[1]) for block in family.blocks] == [[7.0]]


def test_two_threads_that_publish_at_once_leave_whole_files_and_the_newest(tmp_path: Path) -> None:
    shared = of_group(str(tmp_path), "shop")
    own = Service(shared, publish=lambda: None, answers=False)
    own.read()
    failed: list[BaseException] = []

    def publish(size: int) -> None:
        try:
            for number in range(100):
                own.write(lambda number=number: {"0": [number] * size})  # type: ignore[misc]
                assert own.published()[1]["0"]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(size,)) for size in (10, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    begun, ended = threading.Event(), threading.Event()

    def wait() -> str:
        begun.set()
        ended.wait(60)
        return "old"

    slow = threading.Thread(target=own.write, args=(wait,))
    slow.start()
    begun.wait(60)
    own.write(lambda: "new")
    ended.set()
    slow.join()
    assert own.published() == {1: "new"}


def test_a_worker_answers_calls_after_something_that_is_none_and_no_more_when_it_has_left(
    tmp_path: Path,
) -> None:
    cells, published, before = Cells(tmp_path / "w1-1-a"), threading.Event(), threading.enumerate()
    answers = calls.Answers(tmp_path, "w1-1-a", cells, published.set)
    reader = Reader(tmp_path, "w1-1-a")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(tmp_path / "w1-1-a.sock"))
        for text in (b"", b"hello"):
            sender.send(text)
        calls.call(tmp_path, [reader])
        eventually(lambda: reader.answered() > 0)
        assert published.is_set()
        (thread,) = (one for one in threading.enumerate() if one.name == "obs-workers" and one not in before)
        answers.close()
        with contextlib.suppress(ConnectionRefusedError):  # its thread may have ended
            sender.send(b"1")
    thread.join(30)
    assert not thread.is_alive()
    cells.close()


def test_a_member_whose_cells_can_not_be_read_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_SECONDS", 600)
    (tmp_path / "w1-1-a.cells").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as member:
        member.bind(str(tmp_path / "w1-1-a.sock"))
        calls.call(tmp_path, [Reader(tmp_path, "w1-1-a")])
        assert float(member.recv(32)) > 0
