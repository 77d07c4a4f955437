"""The page as protobuf, decoded by google's library: it holds what the text holds, and native histograms besides."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.samples import Timestamp

from obs_middleware import Observer
from obs_middleware.metrics.exposition.page import MetricsPage
from tests.core.metrics.exposition import client_model
from tests.core.metrics.exposition.client_model import ACCEPT, CONTENT_TYPE, OF_PROMETHEUS
from tests.core.metrics.exposition.filling import FILLS, odd_names
from tests.core.metrics.scraping import DURATION, HISTOGRAMS, RESTLESS, SAMPLED, page
from tests.core.support import internal_errors, observer, request, serve

UTF8 = f"{ACCEPT};escaping=allow-utf-8"
Found = list[tuple[str, list[tuple[str, str]], str]]


def _families(registry: Any, accept: str = UTF8) -> dict[str, Any]:
    return client_model.families(MetricsPage(registry).render(accept=accept, accept_encoding="")[0])


def _collected(families: Iterable[Metric]) -> Found:
    """Return the samples of families as a decoded page has them."""
    return sorted(
        _sample(sample.name, sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if not (sample.name.endswith("_created") and family.type in ("counter", "histogram", "summary"))
    )


def _decoded(families: Mapping[str, Any]) -> Found:
    return sorted(_sample(*sample) for sample in client_model.samples(families))


def _sample(name: str, labels: Mapping[str, str], value: float) -> tuple[str, list[tuple[str, str]], str]:
    name = name.replace("_gcount", "_count").replace("_gsum", "_sum")  # protobuf has no others
    exact = {
        label: str(float(text)) if label in ("le", "quantile") else text for label, text in labels.items()
    }
    return name, sorted(exact.items()), repr(float(value))


def _served(**settings: Any) -> Observer:
    own = observer(access_log=False, **settings)
    for route, status in (("/a", 200), ("/a", 200), ("/b", 500)):
        serve(own, request(headers=SAMPLED), route=route, status=status, time_to_first_byte=0.02)
    return own


def _reply(own: Observer, method: str = "GET", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return own.gateway.reply(request(method, path="/metrics", headers=named), "/metrics")


@pytest.mark.parametrize("fill", FILLS)
def test_page_holds_what_the_registry_holds(fill: Callable[[CollectorRegistry], None]) -> None:
    registry = CollectorRegistry()
    fill(registry)
    assert _decoded(_families(registry)) == _collected(registry.collect())


def test_page_of_an_observer_holds_what_its_text_holds() -> None:
    own = _served(native_histograms=True, metric_names=("opentelemetry", "prometheus-fastapi-instrumentator"))
    decoded, collected = _decoded(_families(own.registry)), _collected(own.registry.collect())
    assert _still(decoded) == _still(collected)


def _still(found: Found) -> Found:
    """Leave out what changes from one collection to the next by itself."""
    return [sample for sample in found if not sample[0].startswith(RESTLESS)]


def test_collections_are_counted_with_what_they_find() -> None:
    """A histogram is one series here."""
    own = _served(native_histograms=True)
    _families(own.registry)
    found = _families(own.registry)
    numbers = {name: value for name, _, value in _decoded(found) if name.startswith("telemetry_")}
    assert numbers["telemetry_collection_runs_total"] == "2.0"
    assert numbers["telemetry_metrics_count"] == repr(float(len(found)))
    assert numbers["telemetry_series"] == repr(float(sum(len(family.metric) for family in found.values())))


def test_types_units_and_help_are_there() -> None:
    families = {name: one for each in FILLS[:5] for name, one in _families(_filled(each)).items()}
    types = {name: families[name].type for name in ("suffixed_total", "computed", "build_info", "state")}
    assert types == {
        "suffixed_total": client_model.COUNTER,
        "computed": client_model.GAUGE,
        "build_info": client_model.GAUGE,
        "state": client_model.GAUGE,
    }
    assert families["shop_labelled0"].type == client_model.HISTOGRAM
    assert families["labelled_seconds"].type == client_model.SUMMARY
    assert (families["labelled_seconds"].unit, families["labelled_seconds"].help) == ("seconds", "About.")


def _filled(fill: Callable[[CollectorRegistry], None]) -> CollectorRegistry:
    registry = CollectorRegistry()
    fill(registry)
    return registry


def test_times_of_creation_are_fields() -> None:
    registry = CollectorRegistry()
    Counter("mine", "About.", registry=registry).inc()
    Histogram("yours", "About.", registry=registry).observe(1)
    counter, histogram = _families(registry)["mine_total"], _families(registry)["yours"]
    for name, created in (
        ("mine", counter.metric[0].counter.created_timestamp),
        ("yours", histogram.metric[0].histogram.created_timestamp),
    ):
        wanted = registry.get_sample_value(f"{name}_created")
        assert created.seconds + created.nanos / 1e9 == pytest.approx(wanted, abs=1)


def test_exemplars_lead_to_the_trace() -> None:
    registry = CollectorRegistry()
    Counter("mine", "About.", registry=registry).inc(3, {"trace_id": "ab"})
    Histogram("yours", "About.", registry=registry, buckets=(1, 2)).observe(1.5, {"trace_id": "cd"})
    families = _families(registry)
    exemplar = families["mine_total"].metric[0].counter.exemplar
    assert (client_model.labels(exemplar), exemplar.value) == ({"trace_id": "ab"}, 3)
    buckets = families["yours"].metric[0].histogram.bucket
    assert [bucket.HasField("exemplar") for bucket in buckets] == [False, True, False]
    assert client_model.labels(buckets[1].exemplar) == {"trace_id": "cd"}
    assert buckets[1].exemplar.timestamp.seconds > 1_700_000_000


@pytest.mark.parametrize("is_native", [False, True])
def test_each_classic_bucket_of_a_request_has_the_exemplar_that_the_text_has(is_native: bool) -> None:
    own = _served(native_histograms=is_native)
    kept, families = 0, _families(own.registry)
    for metric in (metric for name in HISTOGRAMS for metric in families[name].metric):
        below = -1.0
        for bucket in metric.histogram.bucket:
            if bucket.HasField("exemplar"):
                kept += 1
                assert client_model.labels(bucket.exemplar)["trace_id"] == SAMPLED["traceparent"][3:35]
                assert below < bucket.exemplar.value <= bucket.upper_bound
            below = bucket.upper_bound
    text = page(own, "application/openmetrics-text; version=1.0.0")
    assert kept == text.count(" # {") >= 4  # of two durations and two first bytes


class _Odd:
    """A collector whose samples are not those of their families."""

    def collect(self) -> Iterator[Metric]:
        gauge = Metric("gauge", "About.", "gauge")
        gauge.add_sample("gauge", {}, 1, Timestamp(1_700_000_000, 500_000_000))
        gauge.add_sample("gauge_other", {"a": "b"}, 2, -1.5)
        yield gauge
        histogram = Metric("histogram", "About.", "histogram")
        histogram.add_sample("histogram_bucket", {"le": "+Inf"}, 2.5)
        histogram.add_sample("histogram_max", {"a": "b"}, 7)
        yield histogram
        summary = Metric("summary", "About.", "summary")
        summary.add_sample("summary", {"quantile": "0.5"}, 0.1)
        summary.add_sample("summary_count", {}, 3)
        summary.add_sample("summary_created", {}, 12.25)
        yield summary


def test_samples_that_belong_to_no_family_are_untyped() -> None:
    registry = CollectorRegistry()
    registry.register(_Odd())
    families = _families(registry)
    types = {name: family.type for name, family in families.items()}
    untyped = dict.fromkeys(("gauge_other", "histogram_max"), client_model.UNTYPED)
    typed = {
        "gauge": client_model.GAUGE,
        "histogram": client_model.HISTOGRAM,
        "summary": client_model.SUMMARY,
    }
    assert types == untyped | typed
    gauge, other = families["gauge"].metric[0], families["gauge_other"].metric[0]
    assert (gauge.timestamp_ms, other.timestamp_ms) == (1_700_000_000_500, -1500)
    assert families["histogram"].metric[0].histogram.sample_count_float == 2.5
    summary = families["summary"].metric[0].summary
    assert (summary.sample_count, summary.quantile[0].value) == (3, 0.1)
    assert (summary.created_timestamp.seconds, summary.created_timestamp.nanos) == (12, 250_000_000)


def test_names_are_those_that_every_prometheus_takes_unless_it_takes_others() -> None:
    registry = CollectorRegistry()
    try:
        Gauge("1 dauer.in", "About.", ("http.route", "a"), registry=registry).labels("/ü", "b").set(1)
    except ValueError:
        return  # a release that takes no such names
    (name,) = _families(registry, ACCEPT)
    (metric,) = _families(registry, ACCEPT)[name].metric
    assert (name, client_model.labels(metric)) == ("__dauer_in", {"http_route": "/ü", "a": "b"})
    assert [*_families(registry)] == ["1 dauer.in"]


def test_names_with_colons_stay() -> None:
    registry = CollectorRegistry()
    odd_names(registry)
    assert {"rule:of:three", "a__b_total"} <= _families(registry, ACCEPT).keys()


def test_family_without_samples_has_no_message() -> None:
    registry = CollectorRegistry()
    Gauge("empty", "About.", ("a",), registry=registry)
    assert MetricsPage(registry).render(accept=ACCEPT, accept_encoding="")[0] == b""


def test_native_histograms_are_there_where_the_setting_says_so_and_nowhere_else() -> None:
    is_native = {}
    for wanted in (False, True):
        families = _families(_served(native_histograms=wanted).registry)
        is_native[wanted] = [families[name].metric[0].histogram.HasField("schema") for name in HISTOGRAMS]
    assert is_native == {False: [False] * 4, True: [True, True, False, False]}


def test_native_histogram_counts_what_the_classic_one_counts() -> None:
    for metric in _families(_served(native_histograms=True).registry)[DURATION].metric:
        one = metric.histogram
        buckets = client_model.native_buckets(one)
        assert one.zero_count + sum(buckets.values()) == one.sample_count == one.bucket[-1].cumulative_count
        assert one.zero_threshold == 2**-14


def test_reply_is_the_same_for_get_and_head_and_compressed() -> None:
    own = _served(native_histograms=True)
    plain, zipped = (
        _reply(own, accept=OF_PROMETHEUS),
        _reply(own, accept=OF_PROMETHEUS, accept_encoding="gzip"),
    )
    assert plain.headers["Content-Type"].startswith("application/vnd.google.protobuf;")
    assert plain.headers["Vary"] == "Accept, Accept-Encoding"
    assert zipped.headers["Content-Encoding"] == "gzip"
    pages = [_decoded(client_model.families(body)) for body in (gzip.decompress(zipped.body), plain.body)]
    assert _still(pages[0]) == _still(pages[1])
    head = _reply(own, "HEAD", accept=ACCEPT)
    assert (head.status, head.headers["Content-Type"]) == (200, CONTENT_TYPE)


def test_collector_that_fails_costs_its_own_families_and_is_counted() -> None:
    class Broken:
        def collect(self) -> Iterator[Metric]:
            raise RuntimeError("no connection")

    own = observer()
    own.registry.register(Broken())
    Counter("after", "About.", registry=own.registry).inc()
    families = client_model.families(_reply(own, accept=ACCEPT).body)
    assert families["after_total"].metric[0].counter.value == 1
    assert internal_errors(own, "collector") == 1
    with pytest.raises(RuntimeError, match="no connection"):
        MetricsPage(own.registry).render(accept=ACCEPT, accept_encoding="")  # nobody is there to be told
