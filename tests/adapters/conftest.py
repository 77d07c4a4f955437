"""An observer of one's own, and the access lines that it writes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Observer
from obs_middleware.queue import flush


@pytest.fixture
def observer() -> Iterator[Observer]:
    """An observer with its own registry, that leaves the log as it is."""
    made = Observer(registry=CollectorRegistry(), log_setup=False)
    yield made
    made.close()


@pytest.fixture
def access() -> Iterator[list[Any]]:
    """Every access line, as a record: `line.route`, `line.status`, `line.outcome` …"""
    flush()  # what earlier tests have left
    logger = logging.getLogger("obs.access")
    lines = _Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines.records
    logger.removeHandler(lines)
    logger.setLevel(level)


@pytest.fixture
def paths_told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[list[str]]]:
    """The paths that each warning of ours names."""

    def told() -> list[list[str]]:
        lines = [record.getMessage() for record in caplog.records if record.name == "obs"]
        return [re.findall(r"(?<=[ =])/[a-z/]+", line) for line in lines]

    return told


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
