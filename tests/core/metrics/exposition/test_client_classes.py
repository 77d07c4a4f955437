"""Which of prometheus-client's metrics are read from the inside, and which are left to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import (
    CollectorRegistry,
    Gauge,
)
from prometheus_client.core import (
    GaugeMetricFamily,
)
from prometheus_client.metrics import MetricWrapperBase

from obs_middleware.metrics.exposition import client_classes
from obs_middleware.metrics.exposition.formats import OPENMETRICS, TEXT
from tests.core.metrics.exposition.comparing import ours, same
from tests.core.metrics.exposition.filling import (
    counters,
    every_number,
    gauges,
    histograms,
    hostile_labels,
    summaries,
)


@pytest.mark.parametrize("fill", [counters, summaries, histograms, every_number, hostile_labels])
@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_metrics_of_known_classes_are_read_from_the_inside(
    fill: Callable[[CollectorRegistry], None], form: Any, registry: CollectorRegistry
) -> None:
    fill(registry)
    assert all(client_classes.blocks(metric, form) is not None for metric in registry._collector_to_names)


def test_class_whose_methods_were_replaced_is_left_to_prometheus_client(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges(registry)
    same(registry)
    real = Gauge._child_samples
    monkeypatch.setattr(
        Gauge, "_child_samples", lambda own: [one._replace(value=one.value + 1) for one in real(own)]
    )
    same(registry)
    assert "plain 0.0" in ours(registry)


def test_metric_whose_own_methods_were_replaced_is_left_to_prometheus_client(
    registry: CollectorRegistry,
) -> None:
    gauge = Gauge("mine", "About.", registry=registry)
    gauge.collect = lambda: [GaugeMetricFamily("other", "About.", value=5)]  # type: ignore[method-assign]
    same(registry)
    assert "other 5.0" in ours(registry)


def test_metric_without_the_methods_that_we_know_is_left_to_prometheus_client(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges(registry)
    registry.unregister(registry._names_to_collectors["labelled_seconds"])
    monkeypatch.delattr(MetricWrapperBase, "_multi_samples")
    same(registry)
