"""What adapters call: where a room of ours fails, the app is served all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.ops.asking import ask
from tests.core.support import observer


def test_page_that_cannot_be_made_is_a_503_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def collect(self) -> Any:
            raise RuntimeError("a collector of the user's")

    own = observer()
    monkeypatch.setattr(own.registry, "collect", Broken().collect)
    reply = ask(own)
    assert (reply.status, reply.body) == (503, b"Service Unavailable\n")
    assert (
        own.gateway._metrics.instruments.internal_errors.labels("endpoints")._value.get() == 1
    )  # the registry can't be asked
    assert "endpoints" in caplog.text
