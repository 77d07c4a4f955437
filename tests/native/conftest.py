"""A flush waits for another one as long as it takes: a busy machine may stop a thread in the middle of it."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.queue import flush


@pytest.fixture(autouse=True)
def _flush_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults: Any = flush.__kwdefaults__
    monkeypatch.setitem(defaults, "timeout_seconds", 60.0)
