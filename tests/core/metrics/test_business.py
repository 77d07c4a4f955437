"""Metrics of the app itself: declared once, bounded, refreshed when they are collected."""

from __future__ import annotations

import gc
import json
import math
import threading
import weakref
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from obs_middleware import ConfigError, Observer
from tests.core.metrics.scraping import page
from tests.core.support import caught, internal_errors, observer, python


def value(own: Observer, name: str, **labels: str) -> float | None:
    return own.registry.get_sample_value(name, labels)


def test_what_is_declared_has_the_habits_of_prometheus_client() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"])
    depth = own.metrics.gauge("depth", "Depth.")
    sizes = own.metrics.histogram("sizes_bytes", "Sizes.", buckets=[1, 10])
    waits = own.metrics.summary("waits_seconds", "Waits.")
    orders.labels("free").inc()
    orders.labels(plan="free").inc(2)
    with depth.track_inprogress(), waits.time():
        sizes.observe(5)
        assert value(own, "depth") == 1
    own.metrics.info("build", "Build.").info({"commit": "abc"})
    own.metrics.enum("mode", "Mode.", states=["on", "off"]).state("off")
    assert value(own, "orders_total", plan="free") == 3
    assert value(own, "sizes_bytes_bucket", le="1.0") == 0
    assert value(own, "sizes_bytes_bucket", le="10.0") == 1
    assert value(own, "waits_seconds_count") == 1
    assert value(own, "build_info", commit="abc") == 1
    assert value(own, "mode", mode="off") == 1
    for metric, kind in ((orders, prometheus_client.Counter), (sizes, prometheus_client.Histogram)):
        assert isinstance(metric, kind)
    assert 'orders_total{plan="free"} 3.0' in page(own)


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
        ({"labelnames": ["plan"]}, "labelnames"),
        ({"buckets": [1, 2]}, "buckets"),
        ({"max_series": 7}, "max_series=5000, now 7"),
    ],
)
def test_a_different_declaration_is_an_error_that_says_what_differs(other: dict[str, Any], what: str) -> None:
    metrics = observer().metrics
    declared: dict[str, Any] = {"name": "waits_seconds", "documentation": "Waits."}
    metrics.histogram(**declared)
    with pytest.raises(ConfigError, match="waits_seconds is declared already, with") as raised:
        metrics.histogram(**{**declared, **other})
    assert what in str(raised.value)
    with pytest.raises(ConfigError, match="kind=histogram, now gauge"):
        metrics.gauge(**declared)


def test_a_name_that_a_metric_of_others_has_is_an_error() -> None:
    own = observer()
    prometheus_client.Counter("orders", "Orders.", registry=own.registry)
    with pytest.raises(ConfigError, match="metric orders: Duplicated"):
        own.metrics.counter("orders", "Orders.")
    with pytest.raises(ConfigError, match="metric http_server_active_requests"):
        own.metrics.gauge("http_server_active_requests", "Ours.")


def test_series_past_the_cap_share_one() -> None:
    own = observer(metrics_max_series=10)
    orders = own.metrics.counter("orders", "Orders.", ["plan", "shop"], max_series=2)
    for number in range(5):
        orders.labels("free", number).inc()
    orders.labels("free", 1).inc()
    assert value(own, "orders_total", plan="free", shop="1") == 2
    assert value(own, "orders_total", plan="other", shop="other") == 3
    assert value(own, "orders_total", plan="free", shop="2") is None
    assert value(own, "obs_series_overflow_total", metric="orders") == 3
    wide = own.metrics.gauge("wide", "Wide.", ["n"])
    for number in range(100):
        wide.labels(number).set(1)
    assert page(own).count("wide{") == 11


def test_the_cap_holds_for_threads_that_use_new_label_sets_at_once() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["n"], max_series=20)

    def count() -> None:
        for number in range(200):
            orders.labels(number).inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series = [line for line in page(own).splitlines() if line.startswith("orders_total{")]
    assert len(series) == 21
    assert sum(float(line.rpartition(" ")[2]) for line in series) == 800


def test_removed_series_make_room() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan", "shop"], max_series=2)
    orders.labels("free", "a").inc()
    orders.labels("paid", "b").inc()
    orders.remove("free", "a")
    orders.labels("free", "c").inc()
    assert value(own, "orders_total", plan="free", shop="a") is None
    assert value(own, "orders_total", plan="free", shop="c") == 1
    if hasattr(prometheus_client.Counter, "remove_by_labels"):
        orders.remove_by_labels({"plan": "free"})
        orders.labels("free", "d").inc()
        assert value(own, "orders_total", plan="free", shop="d") == 1
    with pytest.raises(ValueError, match="No label names"):
        own.metrics.counter("sales", "Sales.").remove("a")
    orders.clear()
    for shop in "ef":
        orders.labels("free", shop).inc()
        assert value(own, "orders_total", plan="free", shop=shop) == 1


def test_a_value_that_is_not_allowed_is_other() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan", "items"], allowed={"plan": ["free", "paid"]})
    for plan in ("free", "paid", "' OR 1=1", ""):
        orders.labels(plan, 3).inc()
    assert value(own, "orders_total", plan="other", items="3") == 2
    assert value(own, "orders_total", plan="paid", items="3") == 1
    with pytest.raises(ConfigError, match="allowed names 'paln'"):
        own.metrics.counter("sales", "Sales.", ["plan"], allowed={"paln": ["free"]})


@pytest.mark.parametrize("given", [(), ("a", "b", "c"), {"plan": "a"}, {"plan": "a", "store": "b"}])
def test_wrong_labels_raise_what_prometheus_client_raises(given: Any) -> None:
    orders = observer().metrics.counter("orders", "Orders.", ["plan", "shop"])
    with pytest.raises(ValueError, match="the labels are plan, shop"):
        orders.labels(**given) if isinstance(given, dict) else orders.labels(*given)
    with pytest.raises(ValueError, match="missing label values"):
        orders.inc()


def test_values_that_are_no_texts_are_what_they_are_as_texts() -> None:
    own = observer()
    seen = own.metrics.counter("seen", "Seen.", ["what"])
    for what in (1, "1", True, 1.0, [1], None):
        for _ in range(2):
            seen.labels(what).inc()
            seen.labels(what=what).inc()
    counts = {
        sample["labels"]["what"]: sample["value"] for sample in own.metrics.snapshot()["seen"]["samples"][::2]
    }
    assert counts == {"1": 8, "True": 4, "1.0": 4, "[1]": 4, "None": 4}


def test_a_label_that_is_one_text_is_one_label() -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.", "plan").labels("free").inc()
    assert value(own, "orders_total", plan="free") == 1


def test_a_gauge_with_a_function_is_read_when_metrics_are_collected() -> None:
    own = observer()
    queue: list[int] = []
    own.metrics.gauge("depth", "Depth.", function=lambda: len(queue))
    shop = own.metrics.gauge("shops", "Shops.", ["state"])
    shop.labels("open").set_function(lambda: 2 * len(queue))
    for count in (1, 2):
        queue.append(0)
        assert f"depth {count}.0\n" in page(own)
        assert f'shops{{state="open"}} {2 * count}.0\n' in page(own)
        assert f"depth {count}.0\n" in generate_latest(own.registry).decode()


def test_a_function_that_fails_is_counted_and_the_page_is_made() -> None:
    own = observer()
    own.metrics.gauge("broken", "Broken.", function=lambda: 1 / 0)
    own.metrics.gauge("text", "Text.", function=lambda: "many")  # type: ignore[arg-type,return-value]
    own.metrics.gauge("well", "Well.", function=lambda: 3)
    with caught("obs"):
        text = page(own)
    assert "broken NaN\n" in text
    assert "text NaN\n" in text
    assert "well 3.0\n" in text
    assert 'obs_internal_errors_total{component="collection"} 2.0' in text


def test_hooks_run_before_numbers_are_read_and_one_that_fails_costs_nothing() -> None:
    registry = CollectorRegistry()
    theirs = prometheus_client.Gauge("theirs", "Declared before us.", registry=registry)
    own = observer(registry=registry)
    runs: list[int] = []

    @own.metrics.on_collect
    def refresh() -> None:
        runs.append(len(own.metrics.snapshot()))  # a hook may collect
        theirs.set(len(runs))

    @own.metrics.on_collect
    def fail() -> None:
        raise RuntimeError("no database")

    with caught("obs"):
        for count in (1, 2, 3):
            text = page(own)
            assert f"theirs {count}.0\n" in text
            assert f'obs_internal_errors_total{{component="collection"}} {count}.0' in text


def test_snapshot_is_plain_values_that_json_can_write() -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc(4)
    orders = json.loads(json.dumps(own.metrics.snapshot()))["orders"]
    assert (orders["type"], orders["documentation"], orders["unit"]) == ("counter", "Orders.", "")
    assert {"name": "orders_total", "labels": {"plan": "free"}, "value": 4.0} in orders["samples"]


def test_a_collector_that_raises_does_not_cost_the_snapshot() -> None:
    class Broken:
        def describe(self) -> list[Any]:
            return []

        def collect(self) -> Any:
            raise RuntimeError

    own = observer()
    own.registry.register(Broken())
    own.metrics.counter("orders", "Orders.").inc()
    with caught("obs"):
        assert "orders" in own.metrics.snapshot()
    assert internal_errors(own, "collector") == 1


def test_target_info_tells_whose_metrics_these_are() -> None:
    own = observer(service_name="shop", service_version="1.2")
    assert 'service="shop",version="1.2"' in page(own)
    own.gateway.set_up(debug=True)
    (info,) = [line for line in page(own).splitlines() if line.startswith("target_info{")]
    assert 'environment="development"' in info
    assert 'instance="' in info
    assert "target_info" not in page(observer(metrics_default_labels="none"))


def test_target_info_of_the_user_stays() -> None:
    own = observer(service_name="shop")
    own.registry.set_target_info({"service": "mine"})
    text = page(own)
    assert text.count("target_info{") == 1
    assert 'target_info{service="mine"} 1.0' in text


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


def test_metrics_are_gone_with_their_registry() -> None:
    own = observer()
    own.metrics.gauge("depth", "Depth.", function=lambda: 1)
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc()
    registry = weakref.ref(own.registry)
    del own
    gc.collect()
    assert registry() is None


def test_values_live_where_prometheus_client_keeps_them_for_many_processes(tmp_path: Any) -> None:
    code = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from obs_middleware import Observer
observer = Observer()
observer.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc(3)
observer.metrics.gauge("depth", "Depth.", multiprocess_mode="livesum", function=lambda: 5)
observer.metrics.snapshot()
shared = CollectorRegistry()
MultiProcessCollector(shared)
print(generate_latest(shared).decode())
"""
    text = python(code, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    assert 'orders_total{plan="free"} 3.0' in text
    assert "depth 5.0" in text


def test_a_function_may_be_given_again() -> None:
    own = observer()
    gauge = own.metrics.gauge("depth", "Depth.", function=lambda: 1)
    gauge.set_function(lambda: 2)
    assert own.metrics.gauge("depth", "Depth.") is gauge
    assert [sample["value"] for sample in own.metrics.snapshot()["depth"]["samples"]] == [2.0]
    assert not math.isnan(value(own, "depth") or 0)


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
        (lambda metrics: metrics.histogram("size_bytes", "Sizes.", buckets=[2, 1]), "sorted order"),
        (lambda metrics: metrics.histogram("size_bytes", "Sizes.", ["le"]), "le"),
        (lambda metrics: metrics.enum("mode", "Mode.", states=[]), "No states"),
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


def test_one_allowed_value_may_be_given_as_it_is() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"], allowed={"plan": "free"})
    orders.labels("free").inc()
    orders.labels("f").inc()
    assert value(own, "orders_total", plan="free") == 1
    assert value(own, "orders_total", plan="other") == 1
