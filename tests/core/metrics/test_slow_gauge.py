"""A gauge whose values take long to read keeps no page waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware.metrics import slow_gauge
from obs_middleware.metrics.slow_gauge import SlowGauge
from tests.core.support import eventually


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_gauge, "_PATIENCE_SECONDS", 60.0)


class Reader:
    """Reads what it is told, when it is let."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.calls = 0
        self.values: Mapping[str, float] = {"a": 1}

    def __call__(self) -> Mapping[str, float]:
        self.calls += 1
        self.may_end.wait(60)
        return self.values


def gauge(read: Reader, failures: list[Exception] | None = None) -> CollectorRegistry:
    registry, reported = CollectorRegistry(), [] if failures is None else failures
    registry.register(SlowGauge("waiting", "About.", "name", read, lambda _, error: reported.append(error)))
    return registry


def value(registry: CollectorRegistry, name: str = "a") -> float | None:
    return registry.get_sample_value("waiting", {"name": name})


def test_values_are_read_when_a_page_is_made_and_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Reader()
    read.may_end.set()
    registry = gauge(read)
    assert read.calls == 0
    assert (value(registry), value(registry), read.calls) == (1, 1, 1)
    monkeypatch.setattr(slow_gauge, "_FRESH_SECONDS", 0.0)
    registry = gauge(read)
    assert value(registry) == 1
    read.values = {"a": 2}
    assert value(registry) == 2


def test_page_does_not_wait_for_a_reader_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_gauge, "_PATIENCE_SECONDS", 0.05)
    read = Reader()
    registry = gauge(read)
    began = time.perf_counter()
    assert (value(registry), value(registry)) == (None, None)
    assert time.perf_counter() - began < 25
    eventually(lambda: read.calls)
    assert read.calls == 1
    read.may_end.set()
    eventually(lambda: value(registry) == 1)


def test_failure_is_counted_and_the_values_of_before_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_gauge, "_FRESH_SECONDS", 0.0)
    read, failures = Reader(), list[Exception]()
    read.may_end.set()
    registry = gauge(read, failures)
    assert value(registry) == 1
    read.values = None  # type: ignore[assignment]
    assert value(registry) == 1
    assert len(failures) == 1


def test_no_thread_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    registry = gauge(Reader())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert value(registry) is None


def test_a_forked_child_reads_by_itself() -> None:
    read = Reader()
    registry = gauge(read)
    read.may_end.set()
    value(registry)
    slow_gauge._after_fork()
    value(registry)
    assert read.calls == 2
