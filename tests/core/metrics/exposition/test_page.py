"""The page says what prometheus-client's own page of the same registry says, byte for byte where it can be compared."""

from __future__ import annotations

import gzip
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
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
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.exposition import client_classes, page
from obs_middleware.metrics.exposition.formats import OPENMETRICS, TEXT
from obs_middleware.metrics.exposition.page import MetricsPage
from obs_middleware.metrics.exposition.text import HistogramText, SeriesText
from tests.core.support import internal_errors, observer, python, request

OPEN = "application/openmetrics-text; version=1.0.0"
PLAIN = "text/plain; version=1.0.0"
ESCAPING = [f"; escaping={scheme}" for scheme in ("allow-utf-8", "underscores", "dots", "values")]
ACCEPTS = [
    "",
    OPEN,
    *(OPEN + escaping for escaping in ESCAPING),
    *(PLAIN + escaping for escaping in ESCAPING),
]
ACCEPTS += ["application/openmetrics-text; version=2.0.0; escaping=allow-utf-8"]

HOSTILE = [
    "",
    '"',
    "\\",
    "\n",
    '\\"\n\\n',
    "é日本🎉",
    "\0",
    "\1",
    "\0\1%s",
    "%s",
    "%(a)s",
    "{}",
    "\t\r\x7f\u2028",
    " a ",
]
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    0.1,
    1e-7,
    1e5,
    999_999.5,
    1e6,
    1_234_567.0,
    1e15,
    1e16,
    1.5e300,
    -1e6,
    5e-324,
]
NUMBERS += [math.inf, -math.inf, math.nan]


def ours(registry: Any, accept: str = "") -> str:
    return MetricsPage(registry).render(accept=accept, accept_encoding="")[0].decode()


def theirs(registry: Any, accept: str = "") -> str:
    return choose_encoder(accept)[0](registry).decode()


def parsed(page: str) -> list[Metric]:
    return [*(parse_openmetrics if page.endswith("# EOF\n") else parse_text)(page)]


def meaning(page: str) -> list[Any]:
    """Return all that a scraper reads."""
    return [
        (family.name, family.type, family.documentation, family.unit, [*map(_sample, family.samples)])
        for family in parsed(page)
    ]


def _sample(sample: Any) -> tuple[Any, ...]:
    exemplar = sample.exemplar and (
        sample.exemplar.labels,
        sample.exemplar.value,
        str(sample.exemplar.timestamp),
    )
    return sample.name, sample.labels, repr(float(sample.value)), sample.timestamp, exemplar


def same(registry: Any, accepts: Iterable[str] = ACCEPTS) -> None:
    for accept in accepts:
        assert ours(registry, accept) == theirs(registry, accept)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


# What the registry holds


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


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("accept", ACCEPTS)
def test_page_is_prometheus_clients(
    fill: Callable[[CollectorRegistry], None], accept: str, registry: CollectorRegistry
) -> None:
    fill(registry)
    assert ours(registry, accept) == theirs(registry, accept)


@pytest.mark.parametrize("fill", [counters, summaries, histograms, every_number, hostile_labels])
@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_metrics_of_known_classes_are_read_from_the_inside(
    fill: Callable[[CollectorRegistry], None], form: Any, registry: CollectorRegistry
) -> None:
    fill(registry)
    assert all(client_classes.blocks(metric, form) is not None for metric in registry._collector_to_names)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_order_of_families_is_that_of_registration(accept: str, registry: CollectorRegistry) -> None:
    for fill in (target_info, collectors):
        fill(registry)
    Info("early", "About.", registry=registry)
    Histogram("late", "About.", registry=registry)
    assert ours(registry, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", ["", OPEN])
def test_process_and_garbage_collectors_have_their_families(accept: str, registry: CollectorRegistry) -> None:
    ProcessCollector(registry=registry)
    GCCollector(registry)
    families = [(family.name, family.type) for family in parsed(ours(registry, accept))]
    assert families == [(family.name, family.type) for family in parsed(theirs(registry, accept))]
    assert "process_cpu_seconds" in ours(registry, accept)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_created_series_can_be_switched_off(accept: str, registry: CollectorRegistry) -> None:
    counters(registry)
    assert "_created" in ours(registry, accept)
    prometheus_client.disable_created_metrics()
    try:
        assert "_created" not in ours(registry, accept)
        same(registry)
    finally:
        prometheus_client.enable_created_metrics()
    same(registry)


def test_created_series_are_switched_off_by_the_environment() -> None:
    code = """
from prometheus_client import *
from prometheus_client.exposition import generate_latest
from obs_middleware.metrics.exposition.page import MetricsPage
Histogram("mine", "About.").observe(1)
page = MetricsPage(REGISTRY).render(accept="", accept_encoding="")[0].decode()
print("mine_sum 1.0" in page, "_created" in page)
"""
    assert python(code, env={"PROMETHEUS_DISABLE_CREATED_SERIES": "true"}) == "True False\n"
    assert python(code) == "True True\n"


def test_values_of_many_processes_are_those_of_their_files(tmp_path: Any) -> None:
    code = """
import os
from prometheus_client import *
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from obs_middleware.metrics.exposition.page import MetricsPage
own = CollectorRegistry()
metric = Counter("mine", "About.", ("a",), registry=own)
metric.labels("x").inc(3)
child = os.fork()
if child == 0:
    metric.labels("x").inc(4)
    page = MetricsPage(own).render(accept="", accept_encoding="")[0]
    os._exit(page != generate_latest(own) or b" 4.0" not in page)
assert os.waitpid(child, 0)[1] == 0
both = CollectorRegistry()
MultiProcessCollector(both)
page = MetricsPage(both).render(accept="", accept_encoding="")[0]
assert page == generate_latest(both)
print([line for line in page.decode().splitlines() if "#" not in line])
print(len(os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])))
"""
    printed = python(code, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    assert printed == """['mine_total{a="x"} 7.0']\n2\n"""


def test_registry_that_is_a_view_of_another_is_asked_itself(registry: CollectorRegistry) -> None:
    counters(registry)
    same(registry.restricted_registry(["suffixed_total"]))
    assert ours(registry.restricted_registry(["suffixed_total"])).count("# TYPE") == 1


# What is not as it was when prometheus-client was released


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


def test_value_of_another_class_is_left_to_prometheus_client(registry: CollectorRegistry) -> None:
    class Cell:
        _value = 1.0

        def get(self) -> float:
            return 5.0

        def get_exemplar(self) -> None:
            return None

    counter = Counter("mine", "About.", ("a",), registry=registry)
    counter.labels("x").inc()
    counter.labels("y")._value = Cell()
    same(registry)
    assert 'mine_total{a="y"} 5.0' in ours(registry)


def test_series_that_has_no_time_of_creation_makes_no_family_for_it(registry: CollectorRegistry) -> None:
    counter = Counter("mine", "About.", ("a",), registry=registry)
    real = counter.labels("x")._child_samples
    counter.labels("x")._child_samples = lambda: [*real()][:1]  # type: ignore[method-assign]
    same(registry)
    assert "_created" not in ours(registry)


def test_registry_without_the_attributes_that_we_know_is_asked_itself(registry: CollectorRegistry) -> None:
    counters(registry)
    registry.get_target_info = None  # type: ignore[assignment,method-assign]
    same(registry)


def test_metric_without_the_methods_that_we_know_is_left_to_prometheus_client(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges(registry)
    registry.unregister(registry._names_to_collectors["labelled_seconds"])
    monkeypatch.delattr(MetricWrapperBase, "_multi_samples")
    same(registry)


# Any value, at any time


@given(
    labels=st.lists(st.tuples(st.text(), st.text()), max_size=5),
    amounts=st.lists(st.floats(), max_size=10),
    about=st.text(),
    accept=st.sampled_from(ACCEPTS),
)
def test_any_labels_and_numbers(
    labels: list[tuple[str, str]], amounts: list[float], about: str, accept: str
) -> None:
    registry = CollectorRegistry()
    metrics: list[Any] = [
        Gauge("gauge", about, ("a", "z"), registry=registry),
        Summary("summary", about, ("z", "a"), registry=registry),
        Histogram("histogram", about, ("le_", "a"), registry=registry, buckets=(-1, 0, 0.5)),
    ]
    for metric in metrics:
        for pair in labels:
            child = metric.labels(*pair)
            for amount in amounts:
                child.set(amount) if isinstance(metric, Gauge) else child.observe(amount)
    assert ours(registry, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", ["", OPEN])
def test_page_stays_whole_while_its_metrics_are_written(accept: str, registry: CollectorRegistry) -> None:
    histogram = Histogram("mine", "About.", ("a",), registry=registry)
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for number in range(50):
                histogram.labels(str(number)).observe(0.3, {"trace_id": "ab"})

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write) for _ in range(2)]
        try:
            for _ in range(20):
                (family,) = [one for one in parsed(ours(registry, accept)) if one.name == "mine"]
                for sample in family.samples:  # what was counted is in the last bucket too
                    assert sample.value >= 0
        finally:
            over.set()
        assert [writer.result() for writer in writers] == [None, None]
    same(registry)


def test_page_stays_whole_while_metrics_and_series_come_and_go(registry: CollectorRegistry) -> None:
    steady = Gauge("steady", "About.", ("a",), registry=registry)
    for number in range(200):
        steady.labels(str(number)).set(number)
    passing = Counter("passing", "About.", ("a",), registry=registry)
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for number in range(20):
                passing.labels(str(number)).inc()
            passing.remove("3")
            passing.clear()
            gauge = Gauge("registered", "About.", registry=registry)
            registry.unregister(gauge)

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(change)
        try:
            for number in range(30):
                page = ours(registry, OPEN if number % 2 else "")
                assert page.count("\nsteady{") == 200
                parsed(page)
        finally:
            over.set()
        changing.result()


# Our own collectors

BOUNDS = (0.1, 1.0, 2_500_000.0)
EXEMPLAR = ({"trace_id": "ab", "span_id": "cd"}, 0.05, 1_700_000_000.25)


class Own:
    """As a collector of ours keeps its numbers."""

    __module__ = "obs_middleware.metrics.own"

    def __init__(self, series: dict[tuple[str, ...], tuple[list[int], float]]) -> None:
        self.series = series
        self.duration = HistogramText("duration_seconds", 'About "it".', ("z", "a"), BOUNDS)
        self.active = SeriesText("active", "About.", "gauge", ())
        self.errors = SeriesText("errors", "About.", "counter", ("component",))

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        yield self.duration.head(is_openmetrics)
        for labels, (counts, total) in self.series.items():
            exemplars = [EXEMPLAR, None, None, None] if is_openmetrics else None
            yield self.duration.child(self.duration.labels(labels), counts, total, exemplars)
        yield self.active.head(is_openmetrics) + self.active.child("", 3)
        yield self.errors.head(is_openmetrics) + self.errors.child(self.errors.labels(("x",)), 2e6)

    def collect(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily("duration_seconds", 'About "it".', labels=("z", "a"))
        for labels, (counts, total) in self.series.items():
            added = [float(sum(counts[: place + 1])) for place in range(len(counts))]
            exemplars = [Exemplar(*EXEMPLAR), None, None, None]
            buckets: Any = list(zip(("0.1", "1.0", "2.5e+06", "+Inf"), added, exemplars, strict=True))
            duration.add_metric(labels, buckets, total)
        yield duration
        yield GaugeMetricFamily("active", "About.", value=3)
        errors = CounterMetricFamily("errors", "About.", labels=["component"])
        errors.add_metric(["x"], 2e6)
        yield errors


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


def test_collector_of_ours_is_asked_for_text_and_anybody_elses_is_not() -> None:
    class Foreign(Own):
        __module__ = "shop.metrics"

    own, foreign = Own({}), Foreign({})
    own.collect = foreign.blocks = None  # type: ignore[assignment,method-assign]
    for collector in (own, foreign):
        registry = CollectorRegistry()
        registry.register(collector)
        assert "duration_seconds" in ours(registry)


# Errors


class Broken:
    """A collector of the user's that fails in the middle."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("fine", "About.", value=1)
        raise RuntimeError("no connection")


@pytest.mark.parametrize("accept", ["", OPEN])
def test_collector_that_fails_is_a_503_and_counted(accept: str) -> None:
    own, broken = observer(), Broken()
    own.registry.register(broken)
    info = request(path="/metrics", headers={"accept": accept})
    assert own.gateway.reply(info, "/metrics").status == 503
    own.registry.unregister(broken)
    assert internal_errors(own, "endpoints") == 1
    assert own.gateway.reply(info, "/metrics").status == 200


def test_gauge_whose_function_fails_is_a_503() -> None:
    own = observer()
    Gauge("mine", "About.", registry=own.registry).set_function(lambda: 1 / 0)
    assert own.gateway.reply(request(path="/metrics"), "/metrics").status == 503


# Cost


@pytest.mark.parametrize(("accept", "budget"), [("", 1.7), (OPEN, 1.7)])
def test_page_costs_few_calls_for_a_sample(accept: str, budget: float, registry: CollectorRegistry) -> None:
    """Python and C calls for each of 40 000 samples and more; prometheus-client makes 88 and 190."""
    names = ("http_request_method", "http_route", "http_response_status_code", "error_type")
    histogram = Histogram("mine", "About.", names, registry=registry)
    for number in range(2400):
        histogram.labels("GET", f"/items{number}", "200", "").observe(0.3)
    ours(CollectorRegistry(), accept)
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        page = ours(registry, accept)
    finally:
        sys.setprofile(None)
    samples = sum(not line.startswith("#") for line in page.splitlines())
    assert samples == 2400 * 18
    assert calls / samples < budget


@pytest.mark.parametrize("accept", ["", OPEN])
def test_compressed_page_is_the_page(accept: str, registry: CollectorRegistry) -> None:
    for fill in (histograms, hostile_labels):
        fill(registry)
        page, headers = MetricsPage(registry).render(accept=accept, accept_encoding="gzip")
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(page).decode() == theirs(registry, accept)
        registry = CollectorRegistry()


def test_page_pauses_where_others_may_wait_and_the_scraper_still_can(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr(page, "_SLICE_SECONDS", 0.0)
    hostile_labels(registry)
    ours(registry)
    assert not pauses  # in the main thread
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
        assert len(pauses) > len(HOSTILE) ** 2
        pauses.clear()
        monkeypatch.setattr(page, "_PAUSING_SECONDS", 0.0)
        threads.submit(ours, registry).result()
        assert not pauses


class Clocks:
    """Time that passes while somebody sleeps, when other threads compute for a share of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
        self.pauses: list[float] = []
        self.used = 0.0
        self._share = share
        monkeypatch.setattr("time.sleep", self._sleep)
        monkeypatch.setattr("time.process_time", lambda: self.used)
        monkeypatch.setattr("time.perf_counter", lambda: sum(self.pauses))
        monkeypatch.setattr(page, "_SLICE_SECONDS", 0.0)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.used += seconds * self._share


@pytest.mark.parametrize(("share", "is_busy"), [(0.0, False), (0.1, False), (0.5, True), (1.0, True)])
def test_page_pauses_longer_where_others_are_busy(
    share: float, is_busy: bool, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice takes 0.4 ms, so that those who are busy keep nine tenths of the interpreter."""
    hostile_labels(registry)
    clocks = Clocks(monkeypatch, share)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
    short, rest = clocks.pauses[0], clocks.pauses[1]
    assert short == 0.001
    assert (rest > 0.004) is is_busy
    assert (set(clocks.pauses) == {short}) is not is_busy


def test_pauses_end_with_the_patience_of_the_scraper(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_labels(registry)
    clocks = Clocks(monkeypatch, 1.0)
    monkeypatch.setattr(page, "_PAUSING_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
    longer = clocks.pauses[1::2]
    assert longer == sorted(longer, reverse=True)
    assert longer[-1] < longer[0] / 4  # a big page becomes faster and faster
    assert 0.1 <= sum(clocks.pauses) < 0.11
    assert len(clocks.pauses) < len(HOSTILE) ** 2


def test_page_made_in_a_thread_beside_others_is_the_same(registry: CollectorRegistry) -> None:
    hostile_labels(registry)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ours, registry).result() == ours(registry)
