"""Decorators of views: functions of every kind stay what they are."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from obs_middleware import ConfigError, add_labels, leave_out
from tests.core.metrics.scraping import DURATION, active, counts
from tests.core.support import internal_errors, observer, started


def view(number: int, *, word: str = "a") -> str:
    """Be a view."""
    return word * number


async def async_view(number: int, *, word: str = "a") -> str:
    """Be a view."""
    return word * number


def generator_view(number: int) -> Iterator[int]:
    yield from range(number)


async def async_generator_view(number: int) -> AsyncIterator[int]:
    for item in range(number):
        yield item


@pytest.mark.parametrize("decorator", [leave_out, add_labels(team="a")])
def test_a_view_that_yields_stays_one(decorator: Any) -> None:
    sync, own = decorator(generator_view), decorator(async_generator_view)
    assert inspect.isgeneratorfunction(sync)
    assert inspect.isasyncgenfunction(own)
    assert [*sync(3)] == [0, 1, 2]

    async def collected() -> list[int]:
        return [item async for item in own(3)]

    assert asyncio.run(collected()) == [0, 1, 2]


@pytest.mark.parametrize("decorator", [leave_out, add_labels(team="a")])
def test_a_class_is_refused(decorator: Any) -> None:
    class Items: ...

    with pytest.raises(ConfigError, match=r"got the class .*Items: decorate its methods"):
        decorator(Items)


@pytest.mark.parametrize("decorator", [leave_out, add_labels(team="a")])
def test_a_decorated_view_keeps_its_name_its_signature_and_its_kind(decorator: Any) -> None:
    for own in (view, async_view):
        decorated = decorator(own)
        assert inspect.signature(decorated) == inspect.signature(own, eval_str=True)
        assert (decorated.__name__, decorated.__doc__) == (own.__name__, own.__doc__)
        assert inspect.iscoroutinefunction(decorated) is inspect.iscoroutinefunction(own)
    assert decorator(view)(2, word="b") == "bb"  # outside a request
    assert asyncio.run(decorator(async_view)(2)) == "aa"


def test_view_that_raises_is_left_out_all_the_same() -> None:
    own = observer(access_log=False)

    @leave_out
    def failing() -> None:
        raise KeyError

    with started(own) as exchange:
        with pytest.raises(KeyError) as raised:
            failing()
        exchange.note_raised(raised.value)
        exchange.status = 500
    assert active(own) == 1
    exchange.finish()
    assert active(own) == 0
    assert counts(own) == {}


def test_labels_are_added_up_and_the_last_value_of_a_name_counts() -> None:
    own = observer(access_log=False)

    @add_labels(team="a", area="x")
    @add_labels(team="b")
    def labelled() -> None: ...

    with started(own) as exchange:
        labelled()
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    own.registry.collect()
    labels = {
        "http_request_method": "GET",
        "http_route": "/a",
        "http_response_status_code": "200",
        "error_type": "",
        "team": "b",
        "area": "x",
    }
    assert own.registry.get_sample_value(f"{DURATION}_count", labels) == 1


def test_values_without_end_are_bounded_by_the_number_of_series() -> None:
    own = observer(access_log=False, metrics_max_series=10)
    for number in range(100):
        with started(own) as exchange:
            exchange.add_labels(user=str(number))
            exchange.route, exchange.status = "/a", 200
        exchange.finish()
    own.registry.collect()
    table = own.gateway._metrics.instruments.table
    assert len(table) == 11
    assert sum(counts(own).values()) <= 100


def test_label_of_ours_is_not_replaced() -> None:
    own = observer(access_log=False)
    with started(own) as exchange:
        exchange.add_labels(http_route="/mine")
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    assert counts(own) == {("GET", "/a", "200", ""): 1}


def test_label_whose_name_is_none_is_refused_where_it_is_declared() -> None:
    for name in ("le", "a-b", "__a", "", "http_route", "error_type"):
        with pytest.raises(ConfigError, match="a label of add_labels must be a label's name"):
            add_labels(**{name: "x"})


def test_label_whose_name_is_none_is_dropped_in_a_request_and_counted() -> None:
    own = observer(access_log=False)
    with started(own) as exchange:
        exchange.add_labels(**{"a-b": "x", "fine": "y"})
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    assert counts(own) == {("GET", "/a", "200", ""): 1}
    assert internal_errors(own, "labels") == 1


def test_label_whose_value_has_no_text_is_dropped_and_the_view_runs() -> None:
    own = observer(access_log=False)

    class Team:
        def __str__(self) -> str:
            raise RuntimeError("no name yet")

    labelled = add_labels(team=Team())(view)  # type: ignore[arg-type]
    with started(own) as exchange:
        assert labelled(2) == "aa"
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    assert counts(own) == {("GET", "/a", "200", ""): 1}
    assert internal_errors(own, "views") == 1
