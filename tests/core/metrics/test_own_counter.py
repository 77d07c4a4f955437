"""A counter of our own is counted in this process, wherever prometheus-client keeps its values."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from obs_middleware.metrics.own_counter import OwnCounter
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
