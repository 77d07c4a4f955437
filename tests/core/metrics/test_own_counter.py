"""A counter of our own is counted in this process, wherever prometheus-client keeps its values."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from obs_middleware.metrics.own_counter import OwnCounter, OwnValue
from tests.core.support import python


def test_counter_counts_by_its_label() -> None:
    registry, counter = CollectorRegistry(), OwnCounter("mine", "About.", "component")
    registry.register(counter)
    for component in ("a", "b", "a"):
        counter.inc(component)
    text = generate_latest(registry).decode()
    assert text.splitlines()[1:] == [
        "# TYPE mine_total counter",
        'mine_total{component="a"} 2.0',
        'mine_total{component="b"} 1.0',
    ]


def test_counter_leaves_no_file(tmp_path: Path) -> None:
    code = """
from obs_middleware.metrics.own_counter import OwnCounter
OwnCounter("mine", "About.", "component").inc("a")
"""
    python(code, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    assert os.listdir(tmp_path) == []


class Cell(OwnValue):
    """A value that is kept elsewhere."""


def test_counts_move_to_another_kind_of_value_and_those_that_are_there_already_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter = OwnCounter("mine", "About.", "component")
    counter.inc("a", 2)
    monkeypatch.setattr(OwnCounter, "kind", Cell)
    counter.inc("b", 3)
    there = counter._counts["b"]
    counter.move(lambda value: type(value) is OwnValue)
    counter.inc("a")
    (family,) = counter.collect()
    assert {sample.labels["component"]: sample.value for sample in family.samples} == {"a": 3, "b": 3}
    assert counter._counts["b"] is there
    assert type(counter._counts["a"]) is Cell


def test_threads_that_count_the_first_one_at_once_lose_nothing() -> None:
    counter, arrived = OwnCounter("mine", "About.", "component"), threading.Barrier(5)

    def count() -> None:
        arrived.wait(60)
        counter.inc("a")

    threads = [threading.Thread(target=count) for _ in range(4)]
    with counter._adding:
        for thread in threads:
            thread.start()
        arrived.wait(60)
        time.sleep(0.02)  # by then they wait for the lock
    for thread in threads:
        thread.join(60)
    (family,) = counter.collect()
    assert [sample.value for sample in family.samples] == [4]


def test_what_is_counted_while_counts_move_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, others = OwnCounter("mine", "About.", "component"), list[threading.Thread]()

    class Slow(OwnValue):
        """A value to which another thread would add, while it takes over a count."""

        def inc(self, amount: float) -> None:
            if not others:
                others.append(threading.Thread(target=counter.inc, args=("a",)))
                others[0].start()
                others[0].join(0.1)
            super().inc(amount)

    counter.inc("a")
    monkeypatch.setattr(OwnCounter, "kind", Slow)
    counter.move(lambda value: type(value) is OwnValue)
    others[0].join()
    (family,) = counter.collect()
    assert family.samples[0].value == 2
