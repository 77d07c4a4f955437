"""Series of the app's own metrics are bounded; gauges say what their functions say."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from enum import Enum
from functools import partial
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


def test_a_function_is_called_no_more_once_its_series_is_removed() -> None:
    own, called = observer(), list[int]()
    depth = own.metrics.gauge("depth", "Depth.", ["queue"])

    class Queue:
        def __init__(self, number: int) -> None:
            self.number = number
            self.gauge = depth.labels(number)
            self.gauge.set_function(self.depth)

        def depth(self) -> float:
            called.append(self.number)
            return self.number

    queues = [Queue(number) for number in range(4)]
    depth.remove(0)
    if hasattr(prometheus_client.Gauge, "remove_by_labels"):
        depth.remove_by_labels({"queue": "1"})
    else:
        depth.remove(1)
    own.metrics.snapshot()
    assert called == [2, 3]
    depth.clear()
    own.metrics.snapshot()
    assert called == [2, 3]
    Queue(5)
    assert value(own, "depth", queue="5") == 5
    assert len(queues) == 4


def test_removing_by_no_labels_removes_nothing() -> None:
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"], max_series=1)
    if hasattr(prometheus_client.Counter, "remove_by_labels"):
        orders.labels("free").inc()
        orders.remove_by_labels({})
        orders.labels("paid").inc()
        assert value(own, "orders_total", plan="other") == 1
        with pytest.raises(TypeError, match="must be a dict"):
            orders.remove_by_labels("free")  # type: ignore[arg-type]


def test_another_function_for_a_declared_gauge_is_an_error() -> None:
    own = observer()

    def waiting() -> float:
        return 1

    def under_way() -> float:
        return 2

    own.metrics.gauge("jobs", "Jobs.", function=waiting)
    own.metrics.gauge("jobs", "Jobs.", function=waiting)
    with pytest.raises(ConfigError, match=r"gauge jobs has the function .*waiting already, now .*under_way"):
        own.metrics.gauge("jobs", "Jobs.", function=under_way)
    assert value(own, "jobs") == 1


def test_an_app_factory_that_runs_twice_has_the_function_of_its_last_app() -> None:
    own = observer()

    def create_app(jobs: int) -> None:
        own.metrics.gauge("jobs", "Jobs.", function=lambda: jobs)

    create_app(1)
    create_app(2)
    assert value(own, "jobs") == 2


class Plan(str, Enum):
    FREE = "free"


def test_an_enum_is_counted_under_its_text_whatever_came_before() -> None:
    """It equals `"free"`, and its text is another one."""
    own = observer()
    orders = own.metrics.counter("orders", "Orders.", ["plan"])
    for plan in (Plan.FREE, "free", Plan.FREE):
        orders.labels(plan).inc()
    assert (value(own, "orders_total", plan=str(Plan.FREE)), value(own, "orders_total", plan="free")) == (
        2,
        1,
    )


class Length:
    """An object that is called."""

    def __init__(self, jobs: list[int]) -> None:
        self.jobs = jobs

    def __call__(self) -> float:
        return len(self.jobs)


@pytest.mark.parametrize(
    "function_of",
    [lambda jobs: partial(len, jobs), lambda jobs: jobs.__len__, Length, lambda jobs: Length(jobs).__call__],
)
def test_the_same_is_so_for_whatever_can_be_called(function_of: Callable[[list[int]], Any]) -> None:
    own = observer()
    own.metrics.gauge("jobs", "Jobs.", function=function_of([1]))
    own.metrics.gauge("jobs", "Jobs.", function=function_of([1, 2]))
    assert value(own, "jobs") == 2
    with pytest.raises(ConfigError, match="gauge jobs has the function"):
        own.metrics.gauge("jobs", "Jobs.", function=lambda: 7)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"": "x"}, "info build must have names of letters, digits and underscores.*got ''"),
        ({"a b": "x"}, "got 'a b'"),
        ({"__name__": "x"}, "got '__name__'"),
        ({1: "x"}, "got 1"),
        (None, "info build must get a dict of names and texts, got None"),
    ],
)
def test_an_info_that_prometheus_can_not_read_is_refused(given: Any, complaint: str) -> None:
    info = observer().metrics.info("build", "What runs.")
    with pytest.raises(ValueError, match=complaint):
        info.info(given)


def test_an_info_with_labels_wants_them_first() -> None:
    info = observer().metrics.info("build", "What runs.", ["part"])
    with pytest.raises(ValueError, match="info build is missing label values: say for which"):
        info.info({"version": "1"})


def test_a_state_that_is_none_is_refused_by_name() -> None:
    door = observer().metrics.enum("door", "Of the shop.", ["side"], states=["open", "shut"])
    with pytest.raises(ValueError, match="enum door has the states open, shut, got 'ajar'"):
        door.labels("front").state("ajar")
    with pytest.raises(ValueError, match="missing label values"):
        door.state("open")
    door.labels("front").state("shut")
    assert own_value(door, "door", {"side": "front", "door": "shut"}) == 1


def own_value(metric: Any, name: str, labels: dict[str, str]) -> float:
    samples = (sample for family in metric.collect() for sample in family.samples)
    return next(sample.value for sample in samples if (sample.name, sample.labels) == (name, labels))


def test_the_function_of_what_is_past_the_cap_ends_with_its_series() -> None:
    own, asked = observer(), list[str]()
    depth = own.metrics.gauge("depth", "Of queues.", ["queue"], max_series=1)
    for queue in ("a", "b"):
        depth.labels(queue).set_function(lambda queue=queue: asked.append(queue) or 1.0)  # type: ignore[misc,func-returns-value]
    own.metrics.snapshot()
    assert asked == ["a", "b"]
    depth.remove("other")
    own.metrics.snapshot()
    assert asked[2:] == ["a"]
    depth.labels("b").set_function(lambda: asked.append("b") or 1.0)  # type: ignore[func-returns-value]
    depth.clear()
    own.metrics.snapshot()
    assert asked[3:] == []
