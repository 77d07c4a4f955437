"""No test of the core sees the settings of the machine it runs on; the fixture `output` catches what is logged."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from obs_middleware import queue
from obs_middleware._speedups import SWITCH
from obs_middleware.queue import Flusher
from tests.core.support import SHORT_NAMES, Output, WithoutPytest
from tests.core.workers.working import Workers, workers


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name != SWITCH and (name.startswith(("OBS_", "OTEL_")) or name in SHORT_NAMES):
            monkeypatch.delenv(name)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    own, root = Output(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", WithoutPytest([own.handler]))
    monkeypatch.setattr(root, "level", logging.INFO)
    logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]
    yield own
    logging.getLogger("obs.access").manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def flusher(monkeypatch: pytest.MonkeyPatch) -> Flusher:
    """Let nobody but the test flush what it records: the process's own thread does not know of this Flusher."""
    own = Flusher()
    own.worker.is_asleep = False  # so that nobody starts a thread for it
    monkeypatch.setattr(queue, "_flusher", own)
    return own


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Workers]:
    """Workers that are one service and share a folder of the test."""
    with workers(tmp_path) as group:
        yield group
