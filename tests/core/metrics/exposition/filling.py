"""What a registry may hold: metrics of every class, hostile texts, collectors of the user."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    Summary,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.samples import Exemplar

from tests.core.metrics.exposition.comparing import HOSTILE, NUMBERS


def counters(registry: CollectorRegistry) -> None:
    Counter("plain", "About.", registry=registry).inc()
    Counter("suffixed_total", "About.", registry=registry).inc(2.5, {"trace_id": "ab", "a": '"\\\n'})
    labelled = Counter(
        "labelled", "About.", ("method", "code", "zone"), "shop", "web", "bytes", registry=registry
    )
    labelled.labels("GET", "200", "a").inc(1e6)
    labelled.labels("GET", "500", "b").inc(3, {"trace_id": "cd"})
    Counter("without_children", "About.", ("a",), registry=registry)


def gauges(registry: CollectorRegistry) -> None:
    Gauge("plain", "About.", registry=registry).set(-1)
    Gauge("computed", "About.", registry=registry).set_function(lambda: 7)
    labelled = Gauge("labelled", "About.", ("a",), unit="seconds", registry=registry)
    labelled.labels("stored").set(1)
    labelled.labels("computed").set_function(lambda: math.nan)
    labelled.labels("more").inc()


def summaries(registry: CollectorRegistry) -> None:
    Summary("plain", "About.", registry=registry).observe(2)
    labelled = Summary("labelled", "About.", ("z", "a"), unit="seconds", registry=registry)
    labelled.labels("1", "2").observe(0.5)
    labelled.labels("2", "1").observe(-1)


def histograms(registry: CollectorRegistry) -> None:
    Histogram("plain", "About.", registry=registry).observe(2, {"trace_id": "ab"})
    Histogram("empty", "About.", registry=registry)
    for number, names in enumerate([("a",), ("z",), ("a", "z"), ("z", "a", "le_", "l", "k", "LE")]):
        metric = Histogram(
            f"labelled{number}", "About.", names, "shop", registry=registry, buckets=(0.1, 1, 1e7)
        )
        metric.labels(*names).observe(0.5)
        for amount in (0.01, 5, 1e6, 1e9):
            metric.labels(*reversed(names)).observe(amount, {"trace_id": "ab", "span_id": "cd"})
    negative = Histogram("negative", "No sum.", ("a",), registry=registry, buckets=(-1, 0, 1), unit="celsius")
    negative.labels("x").observe(-2)


def infos_and_enums(registry: CollectorRegistry) -> None:
    Info("build", "About.", registry=registry).info({"version": "1", "branch": '"\n'})
    Info("labelled", "About.", ("a",), registry=registry).labels("x").info({"b": "c"})
    Enum("state", "About.", states=("up", "down"), registry=registry).state("down")
    Enum("states", "About.", ("a",), states=("up", "down"), registry=registry).labels("x").state("up")


def hostile_help(registry: CollectorRegistry) -> None:
    for number, text in enumerate(HOSTILE):
        Gauge(f"help{number}", text, registry=registry)


def hostile_labels(registry: CollectorRegistry) -> None:
    gauge = Gauge("gauge", "About.", ("a", "z"), registry=registry)
    histogram = Histogram("histogram", "About.", ("a", "z"), registry=registry, buckets=(1,))
    for one in HOSTILE:
        for other in HOSTILE:
            gauge.labels(one, other).set(1)
            histogram.labels(one, other).observe(2, {"trace_id": one})


def large_counts(registry: CollectorRegistry) -> None:
    histogram = Histogram("histogram", "About.", ("a",), registry=registry)
    histogram.labels("x").observe(0.3)
    for bucket in histogram.labels("x")._buckets:
        bucket.inc(400_000)


def every_number(registry: CollectorRegistry) -> None:
    gauge = Gauge("gauge", "About.", ("a",), registry=registry)
    histogram = Histogram("histogram", "About.", ("a",), registry=registry)
    summary = Summary("summary", "About.", ("a",), registry=registry)
    for number in NUMBERS:
        gauge.labels(repr(number)).set(number)
        summary.labels(repr(number)).observe(number)
        histogram.labels(repr(number)).observe(number, {"trace_id": "ab"})


def resets(registry: CollectorRegistry) -> None:
    counter = Counter("counter", "About.", ("a",), registry=registry)
    counter.labels("x").inc()
    counter.labels("x").reset()  # an int


def odd_names(registry: CollectorRegistry) -> None:
    Gauge("rule:of:three", "A name with colons.", registry=registry).set(3)
    Counter("a__b", "Underscores, which an escaping doubles.", ("c__d",), registry=registry).labels("x").inc()
    try:
        Histogram("http.server.duration", "Dots.", ("http.route", "ü"), registry=registry).labels(
            "/", "ö"
        ).observe(1)
    except ValueError:
        return  # a release that knows no such names
    Gauge("dauer in s", "Blanks.", registry=registry).set(1)


def target_info(registry: CollectorRegistry) -> None:
    registry.set_target_info({"service_name": 'shop "1"'})
    Counter("plain", "About.", registry=registry).inc()


class Custom:
    """A collector with families of every type, a big one too, and with timestamps and exemplars."""

    def collect(self) -> Iterator[Metric]:
        counter = CounterMetricFamily("counter", "About.", labels=["a"], created=12.5)
        for number in range(100):
            counter.add_metric([str(number)], number, created=number)
            exemplar = Exemplar({"b": "c"}, 1, 2.5)
            counter.add_sample("counter_total", {"a": f"late {number}"}, number, exemplar=exemplar)
        yield counter
        gauge = GaugeMetricFamily("gauge", 'About "it".', labels=["a"], unit="seconds")
        for number in range(100):
            gauge.add_metric([str(number)], number, timestamp=1_700_000_000.5)
        yield gauge
        histogram = GaugeHistogramMetricFamily("gaugehistogram", "About.", labels=["a"])
        for number in range(100):
            histogram.add_metric([str(number)], [("1", 1), ("+Inf", 2)], 3)
        yield histogram
        yield HistogramMetricFamily("histogram", "About.", buckets=[("1", 1), ("+Inf", 2)], sum_value=1.5)
        yield StateSetMetricFamily("stateset", "About.", {"up": True, "down": False})
        yield SummaryMetricFamily("summary", "About.", count_value=1, sum_value=2)
        yield UnknownMetricFamily("unknown", "About.", value=1)
        yield GaugeMetricFamily("empty", "Without samples.")


class DoubledGauge(Gauge):
    """A subclass that collects otherwise."""

    def collect(self) -> list[Metric]:
        families = [*super().collect()]
        for family in families:
            family.samples = [sample._replace(value=2 * sample.value) for sample in family.samples]
        return families


def collectors(registry: CollectorRegistry) -> None:
    registry.register(Custom())
    PlatformCollector(registry)
    DoubledGauge("doubled", "About.", registry=registry).set(4)


FILLS = [counters, gauges, summaries, histograms, infos_and_enums, hostile_help, hostile_labels, every_number]


FILLS += [large_counts, resets, odd_names, target_info, collectors]
