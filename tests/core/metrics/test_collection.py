"""Hooks run before numbers are read, and target_info tells whose numbers they are."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
from prometheus_client import CollectorRegistry

from obs_middleware.metrics.collection import AppMetrics, declaring
from obs_middleware.metrics.own_counter import OwnCounter
from tests.core.metrics.scraping import page
from tests.core.support import caught, observer


def test_hooks_run_before_numbers_are_read_and_one_that_fails_costs_nothing() -> None:
    registry = CollectorRegistry()
    theirs = prometheus_client.Gauge("theirs", "Declared before us.", registry=registry)
    own = observer(registry=registry)
    runs: list[int] = []

    @own.metrics.on_collect
    def refresh() -> None:
        runs.append(len(own.metrics.snapshot()))  # a hook may collect
        theirs.set(len(runs))

    @own.metrics.on_collect
    def fail() -> None:
        raise RuntimeError("no database")

    with caught("obs"):
        for count in (1, 2, 3):
            text = page(own)
            assert f"theirs {count}.0\n" in text
            assert f'obs_internal_errors_total{{component="collection"}} {count}.0' in text


def test_hook_that_fails_is_named_in_the_log() -> None:
    own = observer()

    @own.metrics.on_collect
    def count_guilds() -> None:
        raise LookupError("no such table: guild")

    with caught("obs") as log:
        page(own)
    (record,) = log.records
    assert "count_guilds of on_collect has raised LookupError: no such table: guild;" in record.getMessage()
    assert "raise LookupError" in log.lines[0], "with the stack that leads into the hook"


def test_target_info_tells_whose_metrics_these_are() -> None:
    own = observer(service_name="shop", service_version="1.2")
    assert 'service="shop",version="1.2"' in page(own)
    own.gateway.set_up(debug=True)
    (info,) = [line for line in page(own).splitlines() if line.startswith("target_info{")]
    assert 'environment="development"' in info
    assert 'instance="' in info
    assert "target_info" not in page(observer(metrics_default_labels="none"))


def test_target_info_of_the_user_stays() -> None:
    own = observer(service_name="shop")
    own.registry.set_target_info({"service": "mine"})
    text = page(own)
    assert text.count("target_info{") == 1
    assert 'target_info{service="mine"} 1.0' in text


def test_metrics_are_gone_with_their_registry() -> None:
    own = observer()
    own.metrics.gauge("depth", "Depth.", function=lambda: 1)
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc()
    registry = weakref.ref(own.registry)
    del own
    gc.collect()
    assert registry() is None


def test_a_failure_of_the_apps_own_is_told_as_the_apps() -> None:
    own = observer()

    def count_shops() -> float:
        raise LookupError("no such table: shop")

    own.metrics.on_collect(count_shops)
    with caught("obs") as lines:
        page(own)
    start = f"the hook {__name__}.{count_shops.__qualname__} of on_collect"
    raised = "has raised LookupError: no such table: shop; the page is made without it"
    assert lines.records[0].getMessage() == f"{start} {raised}"
    assert lines.lines[0].count("Traceback") == 1
    other = observer()
    other.metrics.gauge("shops", "Shops.", ["state"]).labels("open").set_function(count_shops)
    with caught("obs") as lines:
        page(other)
    start = f"the function {__name__}.{count_shops.__qualname__} of the gauge shops"
    assert lines.records[0].getMessage() == f"{start} {raised}"


def test_a_hook_that_leaves_by_sys_exit_ends_nothing() -> None:
    own = observer()
    own.metrics.on_collect(sys.exit)
    with caught("obs") as lines:
        assert "http_server_active_requests" in page(own)
    assert "has raised SystemExit" in lines.lines[0]


def test_what_belongs_to_the_thread_of_hooks_is_looked_after_before_and_after_them() -> None:
    own, calls = observer(), list[str]()

    @contextmanager
    def around() -> Iterator[None]:
        calls.append("before")
        yield
        calls.append("after")
        if len(calls) > 3:
            raise OSError

    own.metrics.surround_hooks(around)
    page(own)
    assert calls == []
    own.metrics.on_collect(lambda: calls.append("hook"))
    page(own)
    assert calls == ["before", "hook", "after"]
    with caught("obs"):
        assert 'obs_internal_errors_total{component="collection"} 1.0' in page(own)


def test_two_threads_that_ask_for_a_new_counter_at_once_have_the_same_one() -> None:
    registry, asks = CollectorRegistry(), threading.Event()
    shared = AppMetrics.of(registry, lambda component, error: None, dict)
    found: list[OwnCounter] = []

    def ask() -> None:
        asks.set()
        found.append(shared.own_counter("mine", "About.", "of"))

    thread = threading.Thread(target=ask)
    with declaring:
        thread.start()
        assert asks.wait(60)
        time.sleep(0.02)  # by then it waits for the lock
        own = shared.own_counter("mine", "About.", "of")
    thread.join(60)
    assert found == [own]


def test_counter_of_a_registry_that_is_gone_counts_for_nobody() -> None:
    metrics = AppMetrics(CollectorRegistry(), lambda component, error: None, dict)
    gc.collect()
    metrics.own_counter("mine", "About.", "of").inc("a")
    assert list(metrics.collect()) == []
