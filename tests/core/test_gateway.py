"""What adapters call: where a room of ours fails, the app is served all the same."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.core.ops.asking import ask
from tests.core.support import internal_errors, observer, serve


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
    (counted,) = own.gateway._metrics.instruments.internal_errors.collect()  # the registry can't be asked
    assert [(sample.labels, sample.value) for sample in counted.samples] == [({"component": "endpoints"}, 1)]
    assert "endpoints" in caplog.text


def test_line_that_a_filter_of_the_users_refuses_with_an_exception_is_offered_once() -> None:
    offered: list[int] = []

    def refuse(record: logging.LogRecord) -> bool:
        offered.append(record.levelno)
        raise ValueError("the filter's own")

    logger, own = logging.getLogger("obs.access"), observer()
    logger.addFilter(refuse)
    logger.setLevel(logging.INFO)
    try:
        serve(own, status=500)
        own.close()
    finally:
        logger.removeFilter(refuse)
        logger.setLevel(logging.NOTSET)
    assert offered == [logging.ERROR]
    assert internal_errors(own, "access_log") == 1
