"""Exchanges that have failed under WSGI, and whose status a layer around us is about to decide."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from obs_middleware import Exchange, Observer, Outcome, RequestInfo, late_status
from obs_middleware.late_status import LateStatuses
from obs_middleware.queue import Flusher
from tests.core.support import observer


def failed(own: Observer) -> Exchange:
    exchange = own.gateway.start(RequestInfo("GET", "/x", "", "http", lambda _: None, None, "1.1", False))
    assert exchange is not None
    exchange.note_error(LookupError("nothing there"))
    return exchange


@pytest.mark.usefixtures("flusher")
def test_exchange_has_the_status_that_is_known_when_the_app_stops() -> None:
    own = observer()
    exchange, late = failed(own), LateStatuses(lambda record: None)
    late.add(exchange, lambda: 503)
    assert exchange.outcome is None
    late.finish_all()
    ended: tuple[Any, Any] = exchange.status, exchange.outcome
    assert ended == (503, Outcome.ERROR)
    assert not late.has_waiting
    late.finish_all()  # nothing waits


@pytest.mark.usefixtures("flusher")
def test_layer_has_its_time_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_status, "_DELAY_SECONDS", 60.0)
    exchange, late = failed(observer()), LateStatuses(lambda record: None)
    late.add(exchange, lambda: 503)
    late.hand_over()
    assert late.has_waiting
    late.finish_all()


@pytest.mark.usefixtures("flusher")
def test_question_that_fails_is_counted_and_the_exchange_ends() -> None:
    own = observer()

    def status() -> int | None:
        raise RuntimeError("the server is gone")

    exchange, late = failed(own), LateStatuses(lambda record: None)
    late.add(exchange, status)
    late.finish_all()
    assert exchange.outcome is not None
    assert own.registry.get_sample_value("obs_internal_errors_total", {"component": "late_status"}) == 1


@pytest.mark.usefixtures("flusher")
def test_forked_child_discards_what_its_parent_finishes() -> None:
    discarded: list[Any] = []
    exchange, late = failed(observer()), LateStatuses(discarded.append)
    late.add(exchange, lambda: 503)
    late.clear()
    assert (len(discarded), late.has_waiting, exchange.outcome) == (1, False, None)


def test_without_a_thread_to_be_had_the_exchange_ends_at_once(
    flusher: Flusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own = observer(access_log=False)
    exchange, late = failed(own), LateStatuses(lambda record: None)
    flusher.worker.is_asleep = True
    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    late.add(exchange, lambda: 503)
    assert (exchange.status, exchange.outcome, late.has_waiting) == (503, Outcome.ERROR, False)
