"""A metric is declared once, and a declaration that is not as it must be is an error at once."""

from __future__ import annotations

from socket import gethostname
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import ConfigError
from tests.core.metrics.scraping import page, value
from tests.core.support import observer


def test_prefix_and_unit_are_part_of_the_name() -> None:
    for prefix in ("shop", "shop_"):
        own = observer(metrics_prefix=prefix)
        own.metrics.histogram("charge", "Charge.", unit="seconds").observe(1)
        own.metrics.counter("orders_total", "Orders.").inc()
        assert value(own, "shop_charge_seconds_count") == 1
        assert value(own, "shop_orders_total") == 1


def test_an_equal_declaration_returns_the_first_also_from_another_observer() -> None:
    registry = CollectorRegistry()
    first = observer(registry=registry).metrics.counter("orders", "Orders.", ["plan"], max_series=3)
    again = observer(registry=registry).metrics.counter("orders_total", "Orders.", ("plan",), max_series=3)
    assert again is first
    assert observer().metrics.counter("orders", "Orders.", ["plan"], max_series=3) is not first


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"documentation": "Others."}, "documentation='Waits.', now 'Others.'"),
        ({"labelnames": ["bank", "plan"]}, "labelnames=['bank'], now ['bank', 'plan']"),
        ({"buckets": [1, 2]}, "buckets=[0.5, 1.0], now [1.0, 2.0]"),
        ({"max_series": 7}, "max_series=5000, now 7"),
        ({"allowed": {"bank": ["b", "a"]}}, "allowed={'bank': ['acme']}, now {'bank': ['a', 'b']}"),
    ],
)
def test_a_different_declaration_is_an_error_that_says_what_differs(other: dict[str, Any], what: str) -> None:
    metrics = observer().metrics
    declared: dict[str, Any] = {"name": "waits_seconds", "documentation": "Waits.", "labelnames": ["bank"]}
    options: dict[str, Any] = {"buckets": [0.5, 1], "allowed": {"bank": "acme"}}
    metrics.histogram(**declared, **options)
    with pytest.raises(ConfigError) as raised:
        metrics.histogram(**{**declared, **options, **other})
    cure = "declare it once, or give this one another name"
    start = "metric waits_seconds is declared as a histogram already"
    assert str(raised.value) == f"{start}, with {what}: {cure}"
    with pytest.raises(ConfigError) as raised:
        metrics.gauge(**declared)
    assert str(raised.value) == f"{start}, now as a gauge: {cure}"


def test_a_name_that_a_metric_of_others_has_is_an_error() -> None:
    own = observer()
    prometheus_client.Counter("orders", "Orders.", registry=own.registry)
    for name in ("orders", "obs_internal_errors"):
        with pytest.raises(ConfigError, match=f"metric {name}: the registry has this name already") as raised:
            own.metrics.counter(name, "Orders.")
        assert str(raised.value).endswith("give this one another name, or all a metrics_prefix")
    with pytest.raises(ConfigError, match="metric http_server_active_requests: the registry has"):
        own.metrics.gauge("http_server_active_requests", "Ours.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labelnames": "status"}, "labelnames must be a list of texts, got 'status': labelnames=['status']"),
        ({"labelnames": b"status"}, "labelnames must be a list of texts, got b'status'"),
        ({"labelnames": None}, "labelnames must be a list of texts, got None"),
        ({"labels": ["status"]}, "labels=['status'] is no option: labelnames=['status']"),
        ({"labels": "status"}, "labels='status' is no option: labelnames=['status']"),
        (
            {"namespace": "shop"},
            "namespace='shop' is no option: there are labelnames, unit, max_series, allowed, lint,",
        ),
        ({"registry": None}, "registry=None is no option: there are labelnames"),
        ({"buckets": [2, 1]}, "buckets must be numbers that rise, got [2, 1]: buckets=[1.0, 2.0]"),
        ({"buckets": [1, 1]}, "buckets must be numbers that rise, got [1, 1]: buckets=[1.0]"),
        ({"buckets": []}, "buckets must be numbers that rise, got []"),
        ({"buckets": [float("inf")]}, "buckets must be numbers that rise, got [inf]"),
        ({"buckets": [float("nan")]}, "buckets must be numbers that rise, got [nan]"),
        ({"buckets": ["few", 1]}, "buckets must be numbers that rise, got ['few', 1]"),
        ({"buckets": None}, "buckets must be numbers that rise, got None"),
        ({"buckets": "12"}, "buckets must be numbers that rise, got '12'"),
        ({"unit": 3}, "unit must be a text such as 'seconds', got 3"),
        (
            {"labelnames": ["plan"], "allowed": ["free"]},
            "allowed must be a dict of labels and their values, got ['free']: allowed={'plan': ['free']}",
        ),
        ({"allowed": "free"}, "allowed must be a dict of labels and their values, got 'free'"),
        (
            {"labelnames": ["plan"], "allowed": {"plan": 3}},
            "allowed must be a dict of labels and their values, got {'plan': 3}: allowed={'plan': ['free']}",
        ),
        ({"labelnames": ["le"]}, "the label 'le' is the histogram's own: leave it out"),
    ],
)
def test_an_odd_option_is_an_error_also_where_the_metric_is_declared_already(
    options: dict[str, Any], message: str
) -> None:
    metrics = observer().metrics
    for _ in range(2):
        with pytest.raises(ConfigError) as raised:
            metrics.histogram("size_bytes", "Sizes.", **options)
        assert str(raised.value).startswith(f"metric size_bytes: {message}")
        metrics.histogram("size_bytes", "Sizes.")


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "summary", "info", "enum"])
def test_each_kind_says_how_labels_are_named(kind: str) -> None:
    declare = getattr(observer().metrics, kind)
    options = {"states": ["on"]} if kind == "enum" else {}
    with pytest.raises(ConfigError, match="is no option: labelnames=\\['status'\\]"):
        declare("mode", "Mode.", labels=["status"], **options)
    with pytest.raises(ConfigError, match="labelnames must be a list"):
        declare("mode", "Mode.", "status", **options)


def test_default_labels_stand_on_each_series_on_request() -> None:
    own = observer(
        service_name="shop", service_version="1.2", environment="test", metrics_default_labels="series"
    )
    orders = own.metrics.counter("orders", "Orders.", ["plan"], max_series=1)
    orders.labels("free").inc()
    orders.labels(plan="paid").inc()
    own.metrics.gauge("depth", "Depth.").set(3)
    own.metrics.gauge("size", "Size.", function=lambda: 4)
    series = {line.split("{")[0]: line for line in page(own).splitlines() if 'service="shop"' in line}
    assert {"orders_total", "depth", "size"} <= series.keys()
    assert all('environment="test"' in line and 'version="1.2"' in line for line in series.values())
    assert 'plan="other"' in series["orders_total"]
    assert "target_info" not in page(own)
    with pytest.raises(ConfigError, match="'service' is a default label"):
        own.metrics.counter("sales", "Sales.", ["service"])
    orders.remove("free")
    orders.labels("team").inc()
    assert 'plan="team"' in page(own)


def test_an_info_may_have_what_default_labels_tell() -> None:
    own = observer(service_name="shop", service_version="1.0", metrics_default_labels="series")
    own.metrics.info("build", "What runs.").info({"version": "1.2"})
    own.metrics.info("part", "Of the shop.", ["of"]).labels("till").info({"kind": "new"})
    assert value(own, "build_info", service="shop", version="1.2", instance=gethostname()) == 1
    assert value(
        own, "part_info", service="shop", version="1.0", instance=gethostname(), of="till", kind="new"
    )


async def asynchronous() -> float:
    return 1.0


@pytest.mark.parametrize(
    ("declare", "complaint"),
    [
        (lambda metrics: metrics.counter(None, "Orders."), "a metric must have a name, got None"),
        (lambda metrics: metrics.counter("orders", None), "a documentation is needed"),
        (lambda metrics: metrics.counter("orders", "Orders.", [7]), "a label must be letters.*got 7"),
        (lambda metrics: metrics.counter("orders", "Orders.", max_series=0), "max_series must be a whole"),
        (lambda metrics: metrics.counter("orders", "Orders.", max_series="9"), "max_series must be a whole"),
        (
            lambda metrics: metrics.summary("size_bytes", "Sizes.", ["quantile"]),
            "'quantile' is the summary's own",
        ),
        (lambda metrics: metrics.enum("mode", "Mode.", ["mode"], states=["on"]), "'mode' is the enum's own"),
        (
            lambda metrics: metrics.enum("mode", "Mode.", states=[]),
            r"states must be texts that differ, got \[\]",
        ),
        (lambda metrics: metrics.enum("mode", "Mode.", states=["a", "a"]), r"that differ, got \['a', 'a'\]"),
        (lambda metrics: metrics.enum("mode", "Mode.", states=[1, 2]), r"texts that differ, got \[1, 2\]"),
        (lambda metrics: metrics.info("build", "Build.", unit="bytes"), "an info has no unit, got 'bytes'"),
        (
            lambda metrics: metrics.gauge("depth", "Depth.", multiprocess_mode="maxx"),
            "multiprocess_mode must be one of all, liveall, min, .*, livemostrecent, got 'maxx'",
        ),
        (
            lambda metrics: metrics.gauge("depth", "Depth.", multiprocess_mode=3),
            "must be one of all, .*got 3",
        ),
        (lambda metrics: metrics.timed(lambda: 1), r"timed must have a name.*: @metrics.timed\('charge', "),
        (lambda metrics: metrics.timed(), "timed must have a name"),
        (lambda metrics: metrics.timed(3), "timed must have a name, or a histogram or a summary, got 3"),
        (
            lambda metrics: metrics.timed(metrics.gauge("depth", "Depth.")),
            "timed must have a name, or a histogram or a summary, got gauge depth",
        ),
        (
            lambda metrics: metrics.timed(metrics.counter("orders", "Orders.", ["plan"]).labels("a")),
            "got counter orders",
        ),
        (lambda metrics: metrics.enum("mode", "Mode.", states="on"), "states must be a list.*got 'on'"),
        (lambda metrics: metrics.gauge("depth", "Depth.", function=7), "must be a function"),
        (lambda metrics: metrics.gauge("depth", "Depth.", function=asynchronous), "and not async"),
        (lambda metrics: metrics.gauge("depth", "Depth.", ["a"], function=lambda: 1), "depth has labels"),
        (lambda metrics: metrics.on_collect("refresh"), "on_collect must be a function"),
        (lambda metrics: metrics.on_collect(asynchronous), "and not async"),
        (lambda metrics: metrics.timed("work", "Work.", {"outcome": "ok"}), "the labels must differ"),
    ],
)
def test_what_is_declared_wrongly_is_an_error_at_once(declare: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        declare(observer().metrics)
