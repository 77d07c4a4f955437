"""Runtime metrics: the garbage collector, open files, and which of them there are."""

from __future__ import annotations

import gc
import os

import pytest
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from obs_middleware import ConfigError
from obs_middleware.metrics.gc_pauses import gc_pauses
from tests.core.metrics.scraping import page, value
from tests.core.support import internal_errors, observer

PAUSES = "cpython_gc_duration_seconds"


def test_each_collection_is_counted_with_its_time() -> None:
    own = observer(log_setup=False)

    def seen(name: str) -> float:
        return value(own, f"{PAUSES}_{name}", cpython_gc_generation="2") or 0.0

    gc.disable()  # so that none comes by itself
    try:
        count, total = seen("count"), seen("sum")
        gc.collect()
        assert seen("count") == count + 1
        assert 0 < seen("sum") - total < 60
    finally:
        gc.enable()
    assert f'{PAUSES}_bucket{{cpython_gc_generation="2",le="+Inf"}}' in page(own)


def test_python_calls_us_once_however_many_observers_there_are() -> None:
    for _ in range(3):
        observer(log_setup=False)
    assert gc.callbacks.count(gc_pauses._note) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_counts_its_own_collections() -> None:
    own = observer(log_setup=False)
    gc.collect()
    process = os.fork()
    if not process:
        os._exit(value(own, f"{PAUSES}_count", cpython_gc_generation="2") is not None)
    assert os.waitpid(process, 0)[1] == 0


def test_open_files_are_shown_where_prometheus_client_does_not() -> None:
    own = observer(log_setup=False)
    before = value(own, "process_open_fds") or 0
    with open(os.devnull):
        assert value(own, "process_open_fds") == before + 1
    ProcessCollector(registry=own.registry)
    assert page(own).count("# TYPE process_open_fds gauge") == 1


@pytest.mark.parametrize(("chosen", "is_there"), [("gc,open_files", True), ("none", False), ((), False)])
def test_the_setting_chooses(chosen: object, is_there: bool) -> None:
    own = observer(log_setup=False, runtime_metrics=chosen)
    gc.collect()
    assert (PAUSES in page(own), "process_open_fds" in page(own)) == (is_there, is_there)


def test_two_observers_of_a_registry_choose_the_same() -> None:
    registry = CollectorRegistry()
    observer(registry=registry)
    assert page(observer(registry=registry)).count(f"# TYPE {PAUSES}") == 1
    with pytest.raises(ConfigError, match="runtime_metrics must be"):
        observer(registry=registry, runtime_metrics="none")


def test_a_name_that_the_app_has_taken_stays_the_apps() -> None:
    registry = CollectorRegistry()
    Gauge("asyncio_tasks", "Mine.", registry=registry).set(7)
    own = observer(registry=registry, log_setup=False)
    assert value(own, "asyncio_tasks") == 7
    assert internal_errors(own, "runtime_metrics") == 1
