"""An Observer whose app has started, an event for what hangs, and the time that runs of checks have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from obs_middleware import Observer
from obs_middleware.health.registry import Health
from tests.core.health.probing import CHECK_SECONDS, TOKEN, Clock
from tests.core.support import observer


@pytest.fixture(autouse=True)
def _runs_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take longer than in production before it has failed, because a busy machine takes its time."""
    for function in (Health.add, Health.check):
        defaults: Any = function.__kwdefaults__
        monkeypatch.setitem(defaults, "timeout_seconds", CHECK_SECONDS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time of the checks, which passes when a test says so; what waits or is done later does not see it."""
    made = Clock()
    monkeypatch.setattr("obs_middleware.health.checks.time", SimpleNamespace(monotonic=made, time=time.time))
    return made


@pytest.fixture
def own() -> Iterator[Observer]:
    made = observer(health_token=TOKEN)
    made.gateway.started()
    yield made
    made.health.stop()


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Let go of what hangs when the test is over."""
    event = threading.Event()
    yield event
    event.set()
