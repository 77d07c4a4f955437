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
def hang() -> Iterator[threading.Event]:
    """Let go of what hangs when the test is over."""
    event = threading.Event()
    yield event
    event.set()
