"""The page has what the registry has, in its order, whoever collects it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from obs_middleware.metrics.exposition.formats import Format, choose
from obs_middleware.metrics.exposition.registry import blocks, families
from tests.core.metrics.exposition.comparing import ACCEPTS, OPEN, ours, parsed, same, theirs
from tests.core.metrics.exposition.filling import collectors, counters, target_info
from tests.core.metrics.exposition.own_collector import Own
from tests.core.support import python


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


def test_registry_without_the_attributes_that_we_know_is_asked_itself(registry: CollectorRegistry) -> None:
    counters(registry)
    registry.get_target_info = None  # type: ignore[assignment,method-assign]
    same(registry)


class Failing(Collector):
    """A collector that raises after its first family."""

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("first", "About.", value=1)
        raise ConnectionError("no database")


def test_collector_that_raises_fails_a_page_of_which_nobody_is_told() -> None:
    registry = CollectorRegistry()
    registry.register(Failing())
    told: list[Exception] = []
    text, _ = choose("")
    assert isinstance(text, Format)
    assert "first_total 1.0" in "".join(blocks(registry, text, lambda _, error: told.append(error)))
    assert [type(error) for error in told] == [ConnectionError]
    for whole in (blocks(registry, text), families(registry)):
        with pytest.raises(ConnectionError):
            list(whole)


def test_families_of_a_view_of_a_registry_are_those_of_the_view(registry: CollectorRegistry) -> None:
    counters(registry)
    view = registry.restricted_registry(["suffixed_total"])
    assert [family.name for family in families(view)] == ["suffixed"]


def test_collector_of_ours_is_asked_for_text_and_anybody_elses_is_not() -> None:
    class Foreign(Own):
        __module__ = "shop.metrics"

    own, foreign = Own({}), Foreign({})
    own.collect = foreign.blocks = None  # type: ignore[assignment,method-assign]
    for collector in (own, foreign):
        registry = CollectorRegistry()
        registry.register(collector)
        assert "duration_seconds" in ours(registry)


MANY_PROCESSES = """
import logging
logging.root.addHandler(logging.NullHandler())
from prometheus_client import *
from prometheus_client.multiprocess import MultiProcessCollector
from obs_middleware import Observer, RequestInfo
own = {registry}
MultiProcessCollector(own)
orders = Counter("orders", "Orders.", registry={owner})
orders.inc(3)
Histogram("sizes", "Sizes.", registry={owner}).observe(1)
observer = Observer(registry=own, log_setup=False, metrics_max_series=10)
for number in range(12):
    exchange = observer.gateway.start(RequestInfo("GET", "/", "", "http", {{}}.get))
    exchange.route, exchange.status = f"/{{number}}", 200
    exchange.finish()
observer.gateway.report("somewhere", RuntimeError("counted"))
print(observer.gateway.reply(RequestInfo("GET", "/metrics", "", "http", {{}}.get), "/metrics").body.decode())
"""


@pytest.mark.parametrize(
    ("registry", "owner"),
    [("CollectorRegistry()", "REGISTRY"), ("CollectorRegistry()", "own"), ("REGISTRY", "REGISTRY")],
    ids=["in a registry of its own", "beside the metrics", "in the global registry"],
)
def test_multi_process_collector_shows_each_series_once(tmp_path: Any, registry: str, owner: str) -> None:
    code = MANY_PROCESSES.format(registry=registry, owner=owner)
    text = python(code, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    lines = [line for line in text.splitlines() if line]
    names = [line.rpartition(" ")[0] if line[0] != "#" else line.split()[:3] for line in lines]
    assert [name for name in names if names.count(name) > 1] == []
    for line in (
        "orders_total 3.0",
        "sizes_count 1.0",
        'obs_internal_errors_total{component="somewhere"} 1.0',
    ):
        assert line in lines
    assert 'obs_series_overflow_total{metric="http_server"} 2.0' in lines
