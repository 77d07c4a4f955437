"""A page of prometheus-client's histograms costs few calls."""

from __future__ import annotations

import sys
from itertools import count
from types import MethodType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client import (
    CollectorRegistry,
    Histogram,
)

from obs_middleware.metrics.exposition import page as page_of_slices
from tests.core.metrics.exposition.comparing import OPEN, ours, same


@pytest.mark.parametrize(("accept", "budget"), [("", 1.7), (OPEN, 1.7)])
def test_page_costs_few_calls_for_a_sample(
    accept: str, budget: float, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python and C calls for each of 40 000 samples and more; prometheus-client makes 88 and 190.

    The clock goes on by the same amount whenever it is read: a slow machine cuts the page into more slices.
    """
    names = ("http_request_method", "http_route", "http_response_status_code", "error_type")
    histogram = Histogram("mine", "About.", names, registry=registry)
    for number in range(2400):
        histogram.labels("GET", f"/items{number}", "200", "").observe(0.3)
    ours(CollectorRegistry(), accept)
    clock = SimpleNamespace(perf_counter=count(0.0, 10e-6).__next__)
    monkeypatch.setattr(page_of_slices, "time", clock)
    calls = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        page = ours(registry, accept)
    finally:
        sys.setprofile(None)
    samples = sum(not line.startswith("#") for line in page.splitlines())
    assert samples == 2400 * 18
    assert calls / samples < budget


def test_series_whose_samples_somebody_has_replaced_is_left_to_prometheus_client(
    registry: CollectorRegistry,
) -> None:
    histogram = Histogram("mine", "About.", ("a",), registry=registry)
    for label in ("x", "y"):
        histogram.labels(label).observe(0.3)
    child = histogram.labels("y")
    samples = type(child)._child_samples

    def without_sum(child: Histogram) -> list[Any]:
        return [sample for sample in samples(child) if sample.name != "_sum"]

    child._child_samples = MethodType(without_sum, child)  # type: ignore[method-assign]
    same(registry)
    assert 'mine_sum{a="x"}' in ours(registry)
    assert 'mine_sum{a="y"}' not in ours(registry)


def test_sum_of_another_class_is_left_to_prometheus_client(registry: CollectorRegistry) -> None:
    class Sum:
        _value = 1.0

        def get(self) -> float:
            return 5.0

    histogram = Histogram("mine", "About.", ("a",), registry=registry)
    histogram.labels("x").observe(0.3)
    histogram.labels("y")._sum = Sum()
    same(registry)
    assert 'mine_sum{a="y"} 5.0' in ours(registry)
