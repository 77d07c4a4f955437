"""Exporters run periodically beside each other; what fails is tried again and counted, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric

from obs_middleware import ConfigError, Observer
from obs_middleware.export import JsonFile, Textfile, schedule
from obs_middleware.queue import later
from tests.core.export.receiving import Own
from tests.core.support import caught, eventually, forks_among_threads, observer, python


def failures(own: Observer, exporter: str = "own") -> float:
    return own.registry.get_sample_value("obs_export_failures_total", {"exporter": exporter}) or 0.0


def fail() -> None:
    raise OSError("nobody is there")


def test_exporters_run_from_the_start_of_the_app_on_each_in_its_interval() -> None:
    own, fast, slow = observer(), Own(0.05), Own(3600)
    own.exporters.add(fast, slow)
    time.sleep(0.1)
    assert fast.got == []
    own.gateway.started()
    eventually(lambda: len(fast.got) >= 3 and slow.got)
    assert len(slow.got) == 1
    assert threading.get_ident() not in fast.threads
    own.close()


def test_an_exporter_that_is_added_later_runs_too() -> None:
    own, added = observer(), Own(0.05)
    own.gateway.started()
    own.exporters.add(added)
    eventually(lambda: len(added.got) >= 2)
    own.close()


def test_what_is_exported_are_the_numbers_of_that_moment() -> None:
    own, exporter = observer(service_name="shop"), Own(0.05)
    orders = own.metrics.counter("orders", "Orders.")
    own.events.record("opened")
    own.exporters.add(exporter)
    own.gateway.started()
    eventually(lambda: exporter.got)
    orders.inc(3)
    begun = len(exporter.got)
    eventually(lambda: len(exporter.got) > begun + 1)
    last = exporter.got[-1]
    assert b"\norders_total 3.0\n" in last.text()
    assert last.snapshot()["orders"]["samples"][0]["value"] == 3
    assert (last.events_count, last.is_running, last.job, last.labels["service"]) == (1, True, None, "shop")
    own.close()


def test_the_last_export_is_at_the_stop_and_none_comes_after_it() -> None:
    own, exporter = observer(), Own(0.05)
    own.exporters.add(exporter)
    own.gateway.started()
    eventually(lambda: exporter.got)
    own.close()
    count = len(exporter.got)
    assert [collected.is_running for collected in exporter.got] == [True] * (count - 1) + [False]
    own.gateway.started()  # a probe that comes while the server stops
    time.sleep(0.2)
    own.close()
    assert len(exporter.got) == count


def test_an_app_that_starts_again_exports_again() -> None:
    own, exporter = observer(), Own(60)
    own.exporters.add(exporter)
    for runs in (2, 4):
        own.gateway.starting()
        own.gateway.started()
        eventually(lambda wanted=runs - 1: len(exporter.got) == wanted)  # type: ignore[misc]
        own.close()
        assert len(exporter.got) == runs


def test_a_failure_is_counted_logged_and_tried_again_with_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.1)
    own, tries = observer(), list[float]()

    def fail_twice() -> None:
        tries.append(time.monotonic())
        if len(tries) < 3:
            fail()

    own.exporters.add(Own(3600, do=fail_twice))
    with caught("obs") as lines:
        own.gateway.started()
        eventually(lambda: len(lines.records) == 3)
    assert (len(tries), failures(own)) == (3, 2)
    assert tries[1] - tries[0] > 0.08
    assert tries[2] - tries[1] > 0.16
    texts = [record.getMessage() for record in lines.records]
    assert "nobody is there" in texts[0]
    assert texts[2] == "export to own works again after 2 failures"
    own.close()


def test_one_that_hangs_or_fails_holds_up_no_other_and_no_line() -> None:
    own, free = observer(), threading.Event()
    hangs, broken, well = Own(0.05, do=free.wait), Own(0.05, do=fail), Own(0.05)
    own.exporters.add(hangs, broken, well)
    with caught("obs"):
        own.gateway.started()
        eventually(lambda: len(well.got) >= 3 and hangs.got)
        assert len(hangs.got) == 1
        free.set()
        own.close()


def test_an_export_waits_for_one_that_hangs_and_then_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "STOP_SECONDS", 0.05)
    own, free = observer(), threading.Event()
    hangs = Own(60, do=free.wait)
    own.exporters.add(hangs)
    own.gateway.started()
    eventually(lambda: hangs.got)
    with caught("obs") as lines:
        assert not own.exporters.push()
    assert "the export before it has not ended" in lines.lines[0]
    assert failures(own) == 1
    free.set()
    own.close()


def test_metrics_that_can_not_be_read_are_a_failure_of_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.05)
    broken = [True]

    class Registry(CollectorRegistry):
        def collect(self) -> Iterable[Metric]:
            if broken[0]:
                raise SystemExit
            return super().collect()

    own, exporter = observer(registry=Registry()), Own(60)
    own.exporters.add(exporter)
    with caught("obs"):
        own.gateway.started()
        eventually(lambda: own.exporters._scheduled[0].failures >= 2)
        broken[0] = False
        eventually(lambda: exporter.got)
    own.close()


def test_a_push_of_metrics_that_can_not_be_read_has_failed() -> None:
    class Registry(CollectorRegistry):
        def collect(self) -> Iterable[Metric]:
            raise OSError("no metrics")

    own, exporter = observer(registry=Registry()), Own(60)
    own.exporters.add(exporter)
    with caught("obs") as lines:
        assert own.exporters.push() is False
        own.exporters.start()
        eventually(lambda: len(lines.lines) == 2)
        own.close()
    assert "export to own has failed (1 in a row): OSError: no metrics" in lines.lines[0]
    assert not [line for line in lines.lines if "failed in stop" in line]
    assert exporter.got == []


def test_a_hook_that_hangs_holds_up_nothing_else_at_the_stop() -> None:
    own, free = observer(), threading.Event()
    own.metrics.on_collect(lambda: free.wait(60))
    own.exporters.add(Own(60))
    own.exporters.start()
    began = time.monotonic()
    own.exporters.stop()
    assert time.monotonic() - began < 25
    free.set()


def test_exporters_of_one_push_get_the_same_moment() -> None:
    own, one, other = observer(), Own(), Own()
    own.exporters.add(one, other)
    assert own.exporters.push()
    assert one.got[0].timestamp == other.got[0].timestamp


def test_an_export_that_waits_for_another_is_not_made_after_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "STOP_SECONDS", 60.0)
    own, free = observer(), threading.Event()
    exporter = Own(0.01, do=lambda: free.wait(60))
    own.exporters.add(exporter)
    pushing = threading.Thread(target=own.exporters.push)
    pushing.start()
    eventually(lambda: exporter.got)
    own.exporters.start()
    time.sleep(0.2)  # its first export waits for the push
    wait = own.exporters.stop()
    free.set()
    wait()
    pushing.join()
    time.sleep(0.1)
    assert [collected.is_running for collected in exporter.got] == [True, False]


def test_a_collector_that_leaves_costs_its_own_metrics_alone() -> None:
    class Leaving:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> list[Any]:
            raise SystemExit

    own, exporter = observer(), Own(60)
    own.registry.register(Leaving())
    own.exporters.add(exporter)
    with caught("obs") as lines:
        assert own.exporters.push()
    assert "http_server_active_requests" in {family.name for family in exporter.got[0].families}
    assert "failed in collector" in lines.lines[0]


def test_an_async_exporter_is_run_to_its_end() -> None:
    class Async:
        name, interval_seconds = "async", 60.0
        got: list[int] = []
        fails = False

        async def export(self, collected: object) -> None:
            await asyncio.sleep(0.01)
            if self.fails:
                raise OSError
            self.got.append(1)

    own, exporter = observer(), Async()
    own.exporters.add(exporter)
    assert own.exporters.push()
    assert exporter.got == [1]

    async def main() -> None:
        assert own.exporters.push()

    asyncio.run(main())
    exporter.fails = True
    with caught("obs"):
        assert not own.exporters.push()
    assert failures(own, "async") == 1


def test_an_end_of_the_thread_is_no_end_of_the_exporter() -> None:
    def leave() -> None:
        raise SystemExit

    own = observer()
    leaves = Own(0.05, do=leave)
    own.exporters.add(leaves)
    own.gateway.started()
    eventually(lambda: len(leaves.got) >= 1)
    own.close()


def test_an_async_exporter_that_is_cancelled_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """CancelledError is no Exception, and no reason never to export again."""
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.01)

    class Cancelled:
        name, interval_seconds, tries = "own", 0.01, 0

        async def export(self, collected: object) -> None:
            self.tries += 1
            raise asyncio.CancelledError

    own, exporter = observer(), Cancelled()
    own.exporters.add(exporter)
    own.exporters.start()
    eventually(lambda: exporter.tries >= 3)
    assert failures(own) >= 2
    own.exporters.stop()()


def test_a_metric_of_the_apps_own_with_our_counters_name_stops_no_exporter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then the failure can't be counted, and the log says why."""
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.01)
    own, exporter = observer(), Own(0.01, do=fail)
    Counter("obs_export_failures", "The app's own.", registry=own.registry)
    own.exporters.add(exporter)
    with caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: len(exporter.got) >= 3)
        own.close()
    assert "nobody is there; this is not counted: " in lines.lines[0]
    assert "obs_export_failures" in lines.lines[0]


def test_a_log_filter_that_raises_stops_no_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    own, exporter = observer(), Own(0.01, do=fail)
    own.exporters.add(exporter)
    with caught("obs") as lines:
        lines.addFilter(lambda record: 1 / 0)  # type: ignore[arg-type, return-value]
        own.exporters.start()
        eventually(lambda: len(exporter.got) >= 3)
        own.close()


def test_push_exports_now_and_tells_whether_that_went_well() -> None:
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    assert own.exporters.push() is True
    assert len(exporter.got) == 1
    own.exporters.add(Own(do=fail))
    with caught("obs"):
        assert own.exporters.push() is False
    assert failures(own) == 1


def test_a_push_without_an_exporter_has_not_gone_well_and_says_why() -> None:
    with caught("obs") as lines:
        assert observer().exporters.push() is False
    assert lines.lines == ["push: nothing is exported, because no exporter was added: exporters.add(…)"]


def test_an_app_without_exporters_is_not_told_so_when_it_stops() -> None:
    own = observer()
    own.gateway.started()
    assert not own.exporters.is_started
    with caught("obs") as lines:
        own.lifecycle.flush_now(True)  # a signal has come
        own.close()
    assert lines.lines == []


@pytest.mark.parametrize("wrong", [None, "http://localhost:9091", Own, print])
def test_what_is_no_exporter_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"exporters\.add wants (an )?exporter"):
        observer().exporters.add(wrong)


@pytest.mark.parametrize("seconds", [0, -1, None, float("inf"), "15"])
def test_an_interval_that_is_none_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigError, match="interval_seconds must be a positive number"):
        observer().exporters.add(Textfile("a.prom", interval_seconds=seconds))


def test_without_a_thread_to_be_had_the_export_is_made_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own, exporter = observer(), Own(0.05)
    own.exporters.add(exporter)
    later(0.0, lambda: None)  # our thread is there already
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_to_be_had)
        assert own.exporters.push()
        assert exporter.threads == {threading.get_ident()}
        own.exporters.start()
        time.sleep(0.1)
        assert len(exporter.got) == 1
    eventually(lambda: len(exporter.got) > 1)  # threads are to be had again
    own.close()


AT_END = """
import os
from obs_middleware import Observer
from obs_middleware.export import JsonFile
observer = Observer(log_setup=False)
orders = observer.metrics.counter("orders", "Orders.")
observer.exporters.add(JsonFile(os.environ["FILE"], interval_seconds=60))
observer.exporters.start()
import time
while not os.path.exists(os.environ["FILE"]):
    time.sleep(0.01)
orders.inc(5)
"""


def test_the_end_of_the_process_exports_once_more(tmp_path: Any) -> None:
    file = tmp_path / "shop.json"
    python(AT_END, env={"FILE": str(file)})
    text = file.read_text()
    assert '"running":false' in text
    assert '"name":"orders_total","labels":{},"value":5.0' in text


FORKS = """
import os, time
from obs_middleware import Observer
from obs_middleware.export import collecting
collecting._FORK_SECONDS = 60.0  # on a busy machine a thread may take more than a second
exported = set()
class Own:
    name, interval_seconds = "own", 0.01
    def export(self, collected):
        exported.add(os.getpid())
observer = Observer(log_setup=False)
for number in range(200):
    observer.metrics.gauge(f"gauge{number}x", "One of many.").set(number)
observer.exporters.add(Own())
observer.exporters.start()
while not exported:
    time.sleep(0.01)
for _ in range(8):
    child = os.fork()
    if not child:
        time.sleep(0.1)
        before = os.getpid() in exported
        observer.exporters.start()
        end = time.monotonic() + 40
        while os.getpid() not in exported and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(before or os.getpid() not in exported)
    print(os.waitpid(child, 0)[1])
"""


@forks_among_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_exports_when_it_serves_and_not_before() -> None:
    """Whenever the fork comes: the parent reads its metrics nearly all the time."""
    assert python(FORKS, env={"PYTHONWARNINGS": "ignore"}).split() == ["0"] * 8


def test_several_exporters_may_write_at_once(tmp_path: Any) -> None:
    own = observer(service_name="shop")
    own.exporters.add(JsonFile(tmp_path / "shop.json"), Textfile(tmp_path / "shop.prom"))
    assert own.exporters.push()
    assert sorted(os.listdir(tmp_path)) == ["shop.json", "shop.prom"]
