"""Metrics are read for the exporters of one Observer without holding up those of another, or a fork for long."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.core.export.receiving import Own
from tests.core.support import eventually, forks_among_threads, observer, python


def test_a_hook_that_hangs_holds_up_no_exporter_of_another_observer() -> None:
    slow, other, free, hangs = observer(), observer(), threading.Event(), threading.Event()

    @slow.metrics.on_collect
    def wait() -> None:
        hangs.set()
        free.wait(90)

    exporter = Own()
    slow.exporters.add(Own())
    other.exporters.add(exporter)
    slow.exporters.start()
    assert hangs.wait(60)
    other.exporters.start()
    try:
        eventually(lambda: exporter.got, within_seconds=30)
    finally:
        free.set()
        slow.close()
        other.close()


FORKS = """
import os, threading, time
from prometheus_client import CollectorRegistry
from obs_middleware import Observer
class Own:
    name, interval_seconds = "own", 60
    def export(self, collected):
        pass
hanging = []
for _ in range(40):
    observer = Observer(log_setup=False, registry=CollectorRegistry())
    @observer.metrics.on_collect
    def hang():
        hanging.append(1)
        time.sleep(90)
    observer.exporters.add(Own())
    observer.exporters.start()
while len(hanging) < 40:
    time.sleep(0.01)
began = time.monotonic()
child = os.fork()
if not child:
    os._exit(0)
print(time.monotonic() - began, flush=True)
os._exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_waits_a_second_for_all_that_hang() -> None:
    assert 0.9 < float(python(FORKS, env={"PYTHONWARNINGS": "ignore"})) < 25  # and not one for each of them


OWN = """
import os, threading, time
from obs_middleware import Observer
from obs_middleware.export import collecting
collecting._FORK_SECONDS = 60.0  # on a busy machine a thread may take more than a second
lock, exported = threading.Lock(), set()
class Slow:
    def describe(self):
        return []
    def collect(self):
        with lock:
            time.sleep(0.03)
        return []
class Own:
    name, interval_seconds = "own", 0.01
    def export(self, collected):
        collected.own_families()
        exported.add(os.getpid())
observer = Observer(log_setup=False, metrics_workers="shop")
observer.registry.register(Slow())
observer.exporters.add(Own())
observer.start()
while not exported:
    time.sleep(0.01)
for _ in range(8):
    time.sleep(0.02)
    child = os.fork()
    if not child:
        observer.exporters.start()
        end = time.monotonic() + 40
        while os.getpid() not in exported and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(os.getpid() not in exported)
    print(os.waitpid(child, 0)[1], flush=True)
os._exit(0)
"""


@forks_among_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_no_fork_comes_while_a_worker_reads_its_own_metrics(tmp_path: Path) -> None:
    env = {"PYTHONWARNINGS": "ignore", "OBS_METRICS_DIRECTORY": str(tmp_path)}
    assert python(OWN, env=env).split() == ["0"] * 8
