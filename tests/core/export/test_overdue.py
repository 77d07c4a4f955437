"""An export that hangs is told of while it hangs, once, and again when it comes back."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from obs_middleware import Observer
from obs_middleware.export import overdue
from tests.core.export.receiving import Own
from tests.core.support import caught, eventually, observer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "_LIMIT_SECONDS", 0.1)


def failures(own: Observer) -> float:
    return own.registry.get_sample_value("obs_export_failures_total", {"exporter": "own"}) or 0.0


def test_an_export_that_hangs_is_counted_and_logged_once_and_when_it_ends() -> None:
    own, free = observer(), threading.Event()
    exporter = Own(0.01, do=lambda: free.wait(20))
    own.exporters.add(exporter)
    with caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: lines.lines)
        time.sleep(0.3)
        assert lines.lines == ["export to own has not ended after 0 s"]
        assert failures(own) == 1
        free.set()
        eventually(lambda: len(exporter.got) > 1)
        assert lines.lines[1:] == ["export to own has ended after 0 s"]
        assert failures(own) == 1
    own.close()


def test_one_that_hangs_and_then_fails_has_failed_once() -> None:
    def hang_and_fail() -> None:
        free.wait(20)
        raise OSError("nobody is there")

    own, free = observer(), threading.Event()
    own.exporters.add(Own(0.01, do=hang_and_fail))
    with caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: lines.lines)
        free.set()
        eventually(lambda: len(lines.lines) == 3)
        assert failures(own) == 1
        assert "export to own has failed (1 in a row): OSError: nobody is there" in lines.lines
        own.close()


def test_an_interval_that_is_longer_is_the_limit() -> None:
    own, free = observer(), threading.Event()
    own.exporters.add(Own(20, do=lambda: free.wait(20)))
    with caught("obs") as lines:
        own.exporters.start()
        time.sleep(0.4)
        assert lines.lines == []
        free.set()
        own.close()


def test_many_exports_that_end_in_time_are_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes two seconds, because all together have to take longer than one may, on a busy machine too."""
    monkeypatch.setattr(overdue, "_LIMIT_SECONDS", 1.5)
    own, exporter = observer(), Own(0.01, do=lambda: time.sleep(0.2))
    own.exporters.add(exporter)
    with contextlib.closing(own), caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: len(exporter.got) >= 9)
        assert lines.lines == []
