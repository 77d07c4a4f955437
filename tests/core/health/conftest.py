"""An Observer whose app has started, an event for what hangs, and the time of the checks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from obs_middleware import Observer
from tests.core.health.probing import TOKEN, Clock
from tests.core.support import observer


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
