"""After a failure the next try comes soon, after many it comes seldom."""

from __future__ import annotations

import pytest

from obs_middleware.export.schedule import Scheduled
from tests.core.export.receiving import Own


def scheduled(exporter: Own) -> Scheduled:
    return Scheduled(exporter, count_failure=lambda name: None, describe=str)


def test_intervals_between_failures_grow_to_a_minute() -> None:
    short, long = scheduled(Own(15)), scheduled(Own(300))
    seconds = []
    for count in range(1, 12):
        short.failures = long.failures = count
        seconds.append(short.seconds_to_next())
    assert seconds[0] == pytest.approx(1, rel=0.2)
    assert seconds[3] == pytest.approx(8, rel=0.2)
    assert seconds[10] == pytest.approx(60, rel=0.2)
    assert long.seconds_to_next() == pytest.approx(300, rel=0.2)
