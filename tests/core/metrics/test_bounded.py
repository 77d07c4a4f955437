"""Series of the app's own metrics are bounded; gauges say what their functions say."""

from __future__ import annotations

import math
import threading
from typing import Any

import prometheus_client
import pytest
from prometheus_client import generate_latest

from obs_middleware import ConfigError
from tests.core.metrics.scraping import page, value
from tests.core.support import caught, observer


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


def test_a_function_may_be_given_again() -> None:
    own = observer()
    gauge = own.metrics.gauge("depth", "Depth.", function=lambda: 1)
    gauge.set_function(lambda: 2)
    assert own.metrics.gauge("depth", "Depth.") is gauge
    assert [sample["value"] for sample in own.metrics.snapshot()["depth"]["samples"]] == [2.0]
    assert not math.isnan(value(own, "depth") or 0)


def test_one_allowed_value_may_be_given_as_it_is() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"], allowed={"plan": "free"})
    orders.labels("free").inc()
    orders.labels("f").inc()
    assert value(own, "orders_total", plan="free") == 1
    assert value(own, "orders_total", plan="other") == 1
