"""Metrics that an adapter declares are made late, bounded, and never in the way."""

from __future__ import annotations

import gc
import weakref

from prometheus_client import CollectorRegistry, Counter

from obs_middleware.metrics.adapter_metrics import AdapterMetrics

Failures = list[tuple[str, Exception]]


def metrics(registry: CollectorRegistry, failures: Failures | None = None) -> AdapterMetrics:
    reported = [] if failures is None else failures
    return AdapterMetrics(registry, lambda component, error: reported.append((component, error)))


def test_metric_exists_from_its_first_value_on() -> None:
    registry = CollectorRegistry()
    add = metrics(registry).counter("lookups", "About.", ("name",))
    assert not [*registry.collect()]
    add(2, "a")
    add(1, "a")
    assert registry.get_sample_value("lookups_total", {"name": "a"}) == 3


def test_second_declaration_is_the_first_one() -> None:
    registry = CollectorRegistry()
    for _ in range(2):
        observe = metrics(registry).histogram("took_seconds", "About.", ("name",), (0.1, 1))
        observe(0.5, "a")
    assert registry.get_sample_value("took_seconds_bucket", {"name": "a", "le": "1.0"}) == 2


def test_name_that_the_app_has_taken_costs_that_metric_alone() -> None:
    registry, failures = CollectorRegistry(), Failures()
    Counter("lookups", "The app's.", registry=registry)
    own = metrics(registry, failures)
    taken, free = own.counter("lookups", "About.", ()), own.counter("free", "About.", ())
    taken(1)
    taken(1)
    free(1)
    assert [component for component, _ in failures] == ["adapter_metrics"]
    assert registry.get_sample_value("free_total") == 1


def test_label_sets_without_end_are_a_bounded_number_of_series() -> None:
    registry = CollectorRegistry()
    add = metrics(registry).counter("lookups", "About.", ("name",))
    for number in range(2000):
        add(1, str(number))
    add(1, "7")
    (family,) = registry.collect()
    counted = {one.labels["name"]: one.value for one in family.samples if one.name == "lookups_total"}
    assert len(counted) == 501
    assert (counted["7"], counted["_OTHER"]) == (2, 1500)


def test_value_that_is_none_is_a_failure_of_ours() -> None:
    registry, failures = CollectorRegistry(), Failures()
    metrics(registry, failures).counter("lookups", "About.", ("name",))(-1, "a")
    assert len(failures) == 1


def test_registry_of_an_app_that_is_gone_is_not_kept() -> None:
    registry = CollectorRegistry()
    own = metrics(registry)
    own.counter("lookups", "About.", ())(1)
    own.gauge("waiting", "About.", "name", dict)
    gone = weakref.ref(registry)
    del registry
    gc.collect()
    assert gone() is None
