"""An Observer whose app has started, and an event for what hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from obs_middleware import Observer
from tests.core.health.probing import TOKEN
from tests.core.support import observer


@pytest.fixture
def own() -> Iterator[Observer]:
    made = observer(health_token=TOKEN)
    made.gateway.started()
    yield made
    made.health.stop()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a question wait longer for a run than in production, for checks that answer at once on a busy machine."""
    monkeypatch.setattr("obs_middleware.health.checks._WAIT_SECONDS", 10.0)


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Let go of what hangs when the test is over."""
    event = threading.Event()
    yield event
    event.set()
