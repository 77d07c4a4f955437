"""An export that hangs is told of while it hangs, once, and again when it comes back."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from obs_middleware import Observer
from obs_middleware.export import overdue, schedule
from tests.core.export.receiving import Own
from tests.core.support import caught, eventually, observer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "_LIMIT_SECONDS", 0.1)


def failures(own: Observer) -> float:
    return own.registry.get_sample_value("obs_export_failures_total", {"exporter": "own"}) or 0.0


def test_an_export_that_hangs_is_counted_and_logged_once_and_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, free = observer(), threading.Event()
    exporter = Own(0.01, do=lambda: free.wait(60))
    own.exporters.add(exporter)
    with caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: lines.lines)
        time.sleep(0.3)
        assert re.fullmatch(r"export to own has not ended after \d+ s", "|".join(lines.lines))
        assert failures(own) == 1
        monkeypatch.setattr(overdue, "_LIMIT_SECONDS", 60.0)  # of those that follow, none hangs
        free.set()
        eventually(lambda: len(exporter.got) > 1)
        assert re.fullmatch(r"export to own has ended after \d+ s", "|".join(lines.lines[1:]))
        assert failures(own) == 1
    own.close()


def test_one_that_hangs_and_then_fails_has_failed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_and_fail() -> None:
        free.wait(60)
        raise OSError("nobody is there")

    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 60.0)
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
    own.exporters.add(Own(60, do=lambda: free.wait(60)))
    with caught("obs") as lines:
        own.exporters.start()
        time.sleep(0.4)
        assert lines.lines == []
        free.set()
        own.close()


def test_many_exports_that_end_in_time_are_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """All together take longer than one may, by a clock that goes on while an export is under way."""
    now, looks, looked = [100.0], list[tuple[float, Callable[[], object]]](), list[float]()
    monkeypatch.setattr(overdue, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(overdue, "later", lambda seconds, look: looks.append((now[0] + seconds, look)))

    def work() -> None:
        for _ in range(2):
            now[0] += 0.03
            while looks and looks[0][0] <= now[0]:
                looked.append(now[0])
                looks.pop(0)[1]()

    own, exporter = observer(), Own(0.01, do=work)
    own.exporters.add(exporter)
    with contextlib.closing(own), caught("obs") as lines:
        own.exporters.start()
        eventually(lambda: len(exporter.got) >= 9)
        assert lines.lines == []
        assert len(looked) > 2
