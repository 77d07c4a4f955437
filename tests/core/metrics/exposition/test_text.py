"""Our own text is what prometheus-client writes of the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.utils import floatToGoString

from obs_middleware.metrics.exposition.text import numbers
from tests.core.metrics.exposition.comparing import (
    ACCEPTS,
    ESCAPING,
    OPEN,
    PLAIN,
    meaning,
    ours,
    theirs,
)
from tests.core.metrics.exposition.own_collector import Own


@given(
    series=st.dictionaries(
        st.tuples(st.text(), st.text()),
        st.tuples(st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.floats(min_value=0)),
        max_size=4,
    ),
    accept=st.sampled_from(ACCEPTS),
)
def test_collector_of_ours_writes_what_it_collects(series: Any, accept: str) -> None:
    registry = CollectorRegistry()
    registry.register(Own(series))
    try:
        read = meaning(theirs(registry, accept))
    except ValueError:  # prometheus-client's parsers do not take every page that it writes
        return
    assert meaning(ours(registry, accept)) == read


@pytest.mark.parametrize("accept", ["", PLAIN, OPEN, OPEN + ESCAPING[0], OPEN + ESCAPING[1]])
def test_collector_of_ours_has_exemplars_in_openmetrics(accept: str, registry: CollectorRegistry) -> None:
    registry.register(Own({("x", "y"): ([1, 2, 0, 4], 5.0)}))
    page = ours(registry, accept)
    assert meaning(page) == meaning(theirs(registry, accept))
    assert page.count(" # {") == accept.startswith(OPEN[:20])


@given(st.lists(st.floats(), min_size=1))
def test_many_numbers_are_written_as_one_is(given: list[float]) -> None:
    assert numbers(given) == [*map(floatToGoString, given)]


@given(st.lists(st.floats(min_value=1e-6, max_value=1e17), min_size=1))
def test_many_common_numbers_are_written_as_one_is(given: list[float]) -> None:
    assert numbers(given) == [*map(floatToGoString, given)]
