"""No test of the core sees the settings of the machine it runs on."""

from __future__ import annotations

import os

import pytest

from obs_middleware._speedups import SWITCH
from tests.core.support import SHORT_NAMES


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name != SWITCH and (name.startswith(("OBS_", "OTEL_")) or name in SHORT_NAMES):
            monkeypatch.delenv(name)
