"""Counters, gauges and summaries of prometheus-client, whose constant text is kept from page to page: what a page says
is what is there now, byte for byte as prometheus-client writes it and the same when it is read."""

from __future__ import annotations

import gc
import math
import sys
from types import SimpleNamespace
from typing import Any
from weakref import ref

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from obs_middleware.metrics.exposition import client_series
from tests.core.metrics.exposition.comparing import HOSTILE, NUMBERS, OPEN, meaning, ours, theirs

READERS: list[Any] = [Counter, Gauge, Summary]


FORMS = ["", OPEN]


AMOUNTS: list[Any] = [*NUMBERS, 1e300, 10**20, 10**6, 7, True, 99_999.5, 1e-5, 0.00009, 123_456_789.25]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def same(registry: CollectorRegistry) -> None:
    """Compare twice, since what the first page keeps is what the second is made of."""
    for accept in FORMS * 2:
        page, expected = ours(registry, accept), theirs(registry, accept)
        assert page == expected
        if "nan" not in page.lower():
            assert meaning(page) == meaning(expected)


def add(child: Any, amount: Any, exemplar: dict[str, str] | None = None) -> None:
    if isinstance(child, Gauge):
        child.set(amount)
    elif isinstance(child, Summary):
        child.observe(amount)
    elif amount >= 0:
        child.inc(amount, exemplar)


def filled(kind: Any, registry: CollectorRegistry, count: int = 200) -> Any:
    metric = kind("mine", "About.", ("z", "a"), registry=registry)
    for number in range(count):
        add(metric.labels(str(number), "b"), number)
    return metric


def kept(metric: Any) -> dict[Any, client_series.Block]:
    return client_series._kept[metric]


@pytest.mark.parametrize("kind", READERS)
def test_page_is_of_the_series_and_values_that_are_there_now(kind: Any, registry: CollectorRegistry) -> None:
    metric = filled(kind, registry)
    same(registry)
    for number in range(0, 200, 12):
        add(metric.labels(str(number), "b"), 0.25)
    same(registry)
    for number in (0, 63, 64, 99, 199):
        metric.remove(str(number), "b")
        same(registry)
    add(metric.labels("new", "b"), 1)
    add(metric.labels("0", "b"), 1)  # again, at another place
    same(registry)
    metric.remove("198", "b")
    add(metric.labels("newer", "b"), 1)  # as many as before
    same(registry)
    for number in range(2, 198, 3):
        metric.remove(str(number), "b")
    same(registry)
    metric.clear()
    same(registry)
    add(metric.labels("new", "b"), 3)
    same(registry)


@pytest.mark.parametrize("kind", READERS)
def test_series_that_was_made_anew_has_its_new_time_of_creation(
    kind: Any, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = filled(kind, registry)
    same(registry)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.125)
    for labels in [*metric._metrics]:  # same labels, same order
        metric.remove(*labels)
        add(metric.labels(*labels), 1)
    same(registry)
    assert ours(registry).count(" 2.000000000125e+09\n") == (0 if kind is Gauge else 200)


def test_counter_that_was_reset_begins_anew(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = filled(Counter, registry)
    same(registry)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.125)
    metric.labels("100", "b").reset()
    same(registry)
    for accept in FORMS:
        lines = [line for line in ours(registry, accept).splitlines() if 'z="100"' in line]
        braces = '{a="b",z="100"}'
        assert lines == [f"mine_total{braces} 0.0", f"mine_created{braces} 2.000000000125e+09"]


@pytest.mark.parametrize("kind", READERS)
def test_every_amount(kind: Any, registry: CollectorRegistry) -> None:
    metric = kind("mine", "About.", ("a",), registry=registry)
    alone = [kind(f"alone_{number}", "About.", registry=registry) for number in range(len(AMOUNTS))]
    for amount, single in zip(AMOUNTS, alone, strict=True):
        add(metric.labels(repr(amount)), amount)
        add(single, amount)
    same(registry)
    for amount in AMOUNTS:
        metric.clear()
        for number in range(3):  # a block of such alone
            add(metric.labels(str(number)), amount)
        same(registry)


def test_value_that_is_no_float_is_shown_as_one(registry: CollectorRegistry) -> None:
    metric = filled(Gauge, registry)
    for number, value in enumerate((3, True, "5", 10**30)):
        metric.labels(str(number), "b")._value.set(value)
    same(registry)
    assert 'mine{a="b",z="2"} 5.0\n' in ours(registry)


@pytest.mark.parametrize("kind", READERS)
def test_hostile_labels_and_exemplars(kind: Any, registry: CollectorRegistry) -> None:
    metric = kind("mine", "About.", ("a", "z"), registry=registry)
    for one in HOSTILE:
        for other in HOSTILE:
            add(metric.labels(one, other), 2, {"trace_id": one} if other else None)
    for accept in FORMS * 2:
        assert ours(registry, accept) == theirs(registry, accept)
    assert ours(registry, OPEN).count(" # {") == (len(HOSTILE) * (len(HOSTILE) - 1)) * (kind is Counter)


def test_exemplar_of_one_counter_among_many(registry: CollectorRegistry) -> None:
    metric = filled(Counter, registry)
    same(registry)
    metric.labels("70", "b").inc(1e7, {"trace_id": "ab"})
    same(registry)
    assert next(line for line in ours(registry, OPEN).splitlines() if "trace_id" in line).startswith(
        'mine_total{a="b",z="70"} 1.000007e+07 # {trace_id="ab"} 1e+07 '
    )


@pytest.mark.parametrize("kind", READERS)
def test_created_series_switched_off_and_on(kind: Any, registry: CollectorRegistry) -> None:
    filled(kind, registry)
    same(registry)
    prometheus_client.disable_created_metrics()
    try:
        same(registry)
        assert "_created" not in ours(registry)
    finally:
        prometheus_client.enable_created_metrics()
    same(registry)


def test_gauge_with_a_function_among_many(registry: CollectorRegistry) -> None:
    metric = filled(Gauge, registry)
    same(registry)
    metric.labels("100", "b").set_function(lambda: 12.5)
    same(registry)
    assert 'mine{a="b",z="100"} 12.5\n' in ours(registry)


@pytest.mark.parametrize("kind", READERS)
def test_child_of_another_class_among_many(kind: Any, registry: CollectorRegistry) -> None:
    class Other(kind):
        def _samples(self) -> Any:
            return [sample._replace(value=77) for sample in super()._samples()]

    metric = filled(kind, registry)
    same(registry)
    metric._metrics["100", "b"] = Other("mine", "About.", ("z", "a"), _labelvalues=("100", "b"))
    same(registry)
    assert " 77.0\n" in ours(registry)


@pytest.mark.parametrize("kind", READERS)
def test_subclass_that_collects_otherwise_is_asked(kind: Any, registry: CollectorRegistry) -> None:
    class Doubled(kind):
        def collect(self) -> Any:
            families = [*super().collect()]
            for family in families:
                family.samples = [one._replace(value=2 * one.value) for one in family.samples]
            return families

    filled(Doubled, registry)
    same(registry)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "remove", "clear", "reset", "page", "function"]),
            st.integers(0, 20),
            st.floats(min_value=0) | st.integers(0, 10**20),
        ),
        max_size=60,
    )
)
def test_any_order_of_changes(steps: list[tuple[str, int, Any]]) -> None:
    registry = CollectorRegistry()
    made = [kind(kind.__name__.lower(), "About.", ("a",), registry=registry) for kind in READERS]
    long, half = client_series._LONG, client_series._HALF
    client_series._LONG, client_series._HALF = 4, 2
    try:
        for step, number, amount in [*steps, ("page", 0, 0)]:
            for metric in made:
                if step == "remove" and (str(number),) in metric._metrics:
                    metric.remove(str(number))
                elif step == "clear" and number < 2:
                    metric.clear()
                elif step == "reset" and isinstance(metric, Counter):
                    metric.labels(str(number)).reset()
                elif step == "function" and isinstance(metric, Gauge) and number < 2:
                    metric.labels(str(number)).set_function(lambda: math.pi)
                elif step == "add":
                    add(metric.labels(str(number)), amount)
            if step == "page":
                for accept in FORMS:
                    assert ours(registry, accept) == theirs(registry, accept)
    finally:
        client_series._LONG, client_series._HALF = long, half


@pytest.mark.parametrize("kind", READERS)
def test_nothing_is_kept_of_what_is_gone(kind: Any, registry: CollectorRegistry) -> None:
    metric = filled(kind, registry)
    ours(registry)
    assert sum(len(block.labels) for block in kept(metric).values()) == 200
    for number in range(150):
        metric.remove(str(number), "b")
    ours(registry, OPEN)  # any page
    assert sum(len(block.braces) for block in kept(metric).values()) == 50
    metric.clear()
    ours(registry)
    assert not kept(metric)
    registry.unregister(metric)
    forgotten = ref(metric)
    del metric
    gc.collect()
    assert forgotten() is None


@pytest.mark.parametrize("kind", READERS)
def test_most_pieces_stay_as_series_come_and_go(kind: Any, registry: CollectorRegistry) -> None:
    metric = filled(kind, registry, 40 * client_series._LONG)
    ours(registry)
    for number in range(400):
        before = {*map(id, kept(metric).values())}, [*kept(metric).values()]
        metric.remove(str(number * 3), "b")
        add(metric.labels(f"new {number}", "b"), 1)
        ours(registry)
        new = [block for block in kept(metric).values() if id(block) not in before[0]]
        assert len(new) <= 3  # where one went, and the last
    sizes = [len(block.labels) for block in kept(metric).values()]
    assert sum(sizes) == 40 * client_series._LONG
    assert min(sizes[:-1]) >= client_series._HALF
    assert max(sizes) <= client_series._LONG
    same(registry)


@pytest.mark.parametrize(("kind", "samples"), [(Counter, 2), (Gauge, 1), (Summary, 3)])
@pytest.mark.parametrize("accept", FORMS)
def test_page_costs_few_calls_for_a_sample(
    kind: Any, samples: int, accept: str, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python and C calls for each sample; prometheus-client makes 60 and more."""
    filled(kind, registry, 5000)
    still = SimpleNamespace(perf_counter=float)  # a slow machine would pause more often
    monkeypatch.setattr("obs_middleware.metrics.exposition.page.time", still)
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    ours(registry, accept)
    sys.setprofile(count)
    try:
        ours(registry, accept)
    finally:
        sys.setprofile(None)
    assert calls / (5000 * samples) < 0.6
