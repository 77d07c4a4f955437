"""What the page of any worker shows of them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.places import Places
from tests.core.metrics.exposition import client_model
from tests.core.metrics.scraping import RESTLESS
from tests.core.support import eventually
from tests.core.workers.working import Workers, samples

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DURATION = "http_server_request_duration_seconds"
METRICS = """
counter = Counter("orders", "Orders taken.", ("status",))
gauges = {
    mode: Gauge(f"depth_{mode}", "How many wait.", multiprocess_mode=mode)
    for mode in ("all", "liveall", "sum", "livesum", "max", "livemax", "min", "livemin", "mostrecent", "livemostrecent")
}
histogram = Histogram("latency_seconds", "Time taken.", ("zone", "a"), buckets=(0.1, 1))
summary = Summary("size_bytes", "Sizes.")
"""


# A request takes just as long as it is told.
STILL = "exec('perf_counter = own.gateway.perf_counter = lambda: 1000.0', globals())"
QUIET = {"OBS_LOG_LEVEL": "CRITICAL"}  # a worker's answers stand where it logs


def label(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def http(route: str) -> str:
    return f"{DURATION}_count" + label(
        error_type="", http_request_method="GET", http_response_status_code="200", http_route=route
    )


def test_counters_histograms_and_summaries_are_added_up(group: Workers) -> None:
    one, two = group.start(METRICS), group.start(METRICS)
    for worker, times in ((one, 3), (two, 4)):
        worker.do(f"for _ in range({times}): counter.labels('paid').inc(); serve('/items')")
        worker.do("histogram.labels('eu', 'b').observe(0.5); summary.observe(2)")
    two.do("histogram.labels('us', 'b').observe(5)")
    for worker in (one, two):
        found = worker.numbers()
        assert found['orders_total{status="paid"}'] == 7
        assert found[http("/items")] == 7
        assert found['latency_seconds_bucket{a="b",zone="eu",le="1.0"}'] == 2
        assert found['latency_seconds_count{a="b",zone="eu"}'] == 2
        assert found['latency_seconds_sum{a="b",zone="us"}'] == 5
        assert (found["size_bytes_count"], found["size_bytes_sum"]) == (2, 4)


def test_native_histograms_are_added_up_also_those_of_workers_that_were_killed(group: Workers) -> None:
    """From 10 ms to 83 s over three workers: the median of all is that of no worker alone."""
    before = f"os.environ['OBS_NATIVE_HISTOGRAMS'] = 'true'\n{METRICS}"
    workers = [group.start(before) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.do(STILL)
        worker.do(f"for one in range(33): serve('/a', took=0.01 * 10 ** ((3 * one + {number}) / 25))")
        worker.do("histogram.labels('eu', 'b').observe(0.5); counter.labels('paid').inc()")
    workers[1].do("len(page())")  # what waits is counted
    workers[1].kill()
    found = client_model.families(bytes.fromhex(workers[0].do(f"fetch({client_model.ACCEPT!r}).hex()")))
    metric = next(one for one in found[DURATION].metric if client_model.labels(one)["http_route"] == "/a")
    for place in range(0, 99, 7):
        wanted = pytest.approx(0.01 * 10 ** (place / 25), rel=0.06)
        assert client_model.quantile(metric.histogram, (place + 0.5) / 99) == wanted
    shown = {
        name + label(**labels): value
        for name, labels, value in client_model.samples(found)
        if name in ("orders_total", "latency_seconds_count") or name + label(**labels) == http("/a")
    }
    assert shown == {
        'orders_total{status="paid"}': 3,
        'latency_seconds_count{a="b",zone="eu"}': 3,
        http("/a"): 99,
    }
    text = workers[2].numbers()
    assert {name: text[name] for name in shown} == shown


def test_page_is_what_parsers_accept_and_snapshot_has_the_same(group: Workers) -> None:
    one, two = group.start(METRICS), group.start(METRICS)
    for worker in (one, two):
        worker.do("counter.labels('\"odd\\\\ \\n é').inc(); histogram.labels('eu', 'b').observe(0.5)")
    page, openmetrics = one.do("page()"), one.do(f"page({OPENMETRICS!r})")
    families = {family.name: family for family in parse(page)}
    assert families["orders"].samples[0].labels == {"status": '"odd\\ \n é'}
    assert families["latency_seconds"].type == "histogram"
    names = {family.name for family in parse_openmetrics(openmetrics)}
    assert names ^ set(families) == {"target", "target_info"}  # an info has no type in Prometheus text
    shown = one.do(
        "[[s.name, s.labels, s.value] for f in __import__('obs_middleware.metrics.snapshot', fromlist='x')"
        ".Snapshot.of(REGISTRY) for s in f.samples]"
    )
    shown = [sample for sample in shown if not sample[0].startswith(RESTLESS)]
    stays = [[*sample] for sample in shown if not sample[0].startswith(("process_", "python_"))]
    parsed = [
        [*sample[:3]]
        for family in families.values()
        for sample in family.samples
        if not sample.name.startswith(RESTLESS)
    ]
    assert all(sample in parsed for sample in stays)
    assert len(shown) == len(parsed)


def test_gauges_are_put_together_by_their_mode(group: Workers) -> None:
    workers = group.start(METRICS), group.start(METRICS), group.start(METRICS)
    for value, worker in zip((5, 2, 7), workers, strict=True):
        worker.do(f"for gauge in gauges.values(): gauge.set({value})")
    workers[2].do("gauges['min'].set(1)")
    workers[2].kill()
    found = workers[0].numbers()
    living = {"sum": 7, "livesum": 7, "livemax": 5, "livemin": 2, "livemostrecent": 2}
    also_dead = {"max": 7, "min": 1, "mostrecent": 7}
    assert {mode: found[f"depth_{mode}"] for mode in living | also_dead} == living | also_dead
    for mode in ("all", "liveall"):
        assert [found.get(f'depth_{mode}{{worker="{number}"}}') for number in (1, 2, 3)] == [5, 2, None]


@pytest.mark.once
def test_process_metrics_and_custom_collectors_have_a_series_for_each_worker(group: Workers) -> None:
    custom = """
from prometheus_client.core import GaugeMetricFamily
class Pool:
    def collect(self):
        yield GaugeMetricFamily("pool_size", "Connections.", value=os.getpid())
REGISTRY.register(Pool())
Info("build", "Which.").info({"version": "1"})
"""
    one, two = group.start(custom), group.start(custom)
    found = one.numbers()
    assert [found[f'pool_size{{worker="{number}"}}'] for number in (1, 2)] == [
        worker.do("os.getpid()") for worker in (one, two)
    ]
    assert {f'process_resident_memory_bytes{{worker="{number}"}}' for number in (1, 2)} <= found.keys()
    assert {f'python_gc_collections_total{{generation="0",worker="{number}"}}' for number in (1, 2)} <= (
        found.keys()
    )
    assert found['build_info{version="1"}'] == 1
    assert len([name for name in found if name.startswith("python_info")]) == 1


@pytest.mark.once
def test_a_worker_takes_the_number_of_one_that_has_ended(group: Workers) -> None:
    one, two = group.start(), group.start()
    one.stop()
    three = group.start()
    memory = [name for name in three.numbers() if name.startswith("process_resident_memory_bytes")]
    assert memory == [f'process_resident_memory_bytes{{worker="{number}"}}' for number in (1, 2)]
    two.stop()


def test_numbers_of_workers_that_have_ended_or_were_killed_stay(group: Workers) -> None:
    first, second, third = group.start(METRICS), group.start(METRICS), group.start(METRICS)
    for worker in (first, second, third):
        worker.do("counter.labels('paid').inc(); histogram.labels('eu', 'b').observe(0.5); serve('/items')")
        worker.numbers()
    first.stop()
    second.kill()
    for _ in range(2):
        found = third.numbers()
        assert found['orders_total{status="paid"}'] == found[http("/items")] == 3
        assert found['latency_seconds_bucket{a="b",zone="eu",le="1.0"}'] == 3
    third.do("counter.labels('paid').inc()")
    fourth = group.start(METRICS)
    assert fourth.numbers()['orders_total{status="paid"}'] == 4
    files = [name for name in group.files if name.endswith(".cells")]
    assert len(files) == 4  # of two living ones, and two of the archive


FRACTIONS = """
sizes, spent = Histogram("sizes", "Sizes.", ("of",)), Counter("spent", "Spent.", ("of",))
def spend(seed):
    from random import Random
    amounts = Random(seed)
    for number in range(300):
        sizes.labels(str(number % 30)).observe(amounts.random())
        spent.labels(str(number % 30)).inc(amounts.random())
        serve(f"/{number % 30}", took=amounts.random())
"""


@pytest.mark.once
def test_sums_of_fractions_do_not_go_back_by_their_last_digit_when_a_worker_dies(group: Workers) -> None:
    """They would in another order of addition, and Prometheus takes that for a reset."""
    workers = [group.start(FRACTIONS) for _ in range(4)]
    for seed, worker in enumerate(workers):
        worker.do(f"spend({seed})")
    names = ("sizes_sum", "spent_total", "http_server_request_duration_seconds_sum")
    before = {name: value for name, value in workers[0].numbers().items() if name.startswith(names)}
    assert len(before) == 90
    for worker in (workers[2], workers[1], workers[3]):
        worker.kill()
        found = workers[0].numbers()
        assert {name: found[name] for name in before} == before


BOUNDED = """
exec('''
hits = own.metrics.counter("hits", "Hits.", ["of"])
def hit(worker):
    for number in range(9):
        hits.labels(f"{worker}-{number}").inc()
        serve(f"/{worker}/{number}")
''', globals())
"""


@pytest.mark.once
def test_bounds_hold_however_many_workers_have_been(group: Workers) -> None:
    settings = {"OBS_METRICS_MAX_SERIES": "10", **QUIET}
    keeper = group.start(**settings)
    keeper.do(BOUNDED.strip())
    for number in range(5):
        worker = group.start(**settings)
        worker.do(BOUNDED.strip())
        worker.do(f"hit({number})")
        worker.numbers()
        worker.kill()
        found = keeper.numbers()
        hits = {name: value for name, value in found.items() if name.startswith("hits_total")}
        assert sum(hits.values()) == 9 * (number + 1)
        assert len(hits) <= 11
        of_http = [name for name in found if name.startswith(f"{DURATION}_count")]
        assert sum(found[name] for name in of_http) == 9 * (number + 1)
        assert len(of_http) <= 11
    assert hits['hits_total{of="other"}'] == 45 - 10


OF_WORKERS = """
from prometheus_client.core import GaugeMetricFamily
class Pools:
    def collect(self):
        family = GaugeMetricFamily("pools", "Pools.", labels=["worker"])
        family.add_metric(["theirs"], 2)
        yield family
REGISTRY.register(Pools())
Gauge("pool_size", "Size.", ["worker"]).labels("mine").set(1)
"""


@pytest.mark.once
def test_a_label_of_the_users_that_is_named_worker_is_kept_beside_ours(group: Workers) -> None:
    one, _ = group.start(OF_WORKERS), group.start()
    for accept in ("", OPENMETRICS):
        found = one.numbers(accept)
        assert found['pool_size{exported_worker="mine",worker="1"}'] == 1
        assert found['pools{exported_worker="theirs",worker="1"}'] == 2


COUNTED_MEANWHILE = """
counter, gauge = Counter("orders", "Orders taken."), Gauge("depth", "Depth.")
counter.inc(3)
gauge.set(3)
class Meanwhile(type(counter._value)):
    def get(self):
        number = super().get()
        if not hasattr(self, "is_read"):
            self.is_read = True
            self.inc(1)  # as another thread may, at this moment
        return number
for metric in (counter, gauge):
    metric._value.__class__ = Meanwhile
"""


@pytest.mark.once
def test_a_worker_that_has_set_nothing_leaves_the_most_recent_value(group: Workers) -> None:
    one = group.start(METRICS)
    one.do("[gauges[mode].set(42) for mode in ('mostrecent', 'livemostrecent')] and None")
    assert one.numbers()["depth_mostrecent"] == 42
    two = group.start(METRICS)
    for worker in (one, two):
        found = worker.numbers()
        assert (found["depth_mostrecent"], found["depth_livemostrecent"]) == (42, 42)


HELD = """
from obs_middleware.metrics import replaced_values
replaced_values.LATE_SECONDS = 5.0  # on a busy machine a second may be over before the next line
counter = Counter("orders", "Orders taken.")
held = counter._value  # as a thread has it that goes on only when the process has joined
"""


@pytest.mark.once
def test_what_a_thread_counts_in_a_value_that_was_replaced_is_added(group: Workers) -> None:
    one, two = group.start(HELD), group.start(HELD)
    one.do("[page(), held.inc(3)] and None")
    eventually(lambda: two.numbers()["orders_total"] == 3)


NOT_A_NUMBER = """
from obs_middleware.metrics import replaced_values
gauge = Gauge("depth", "Depth.", multiprocess_mode="max")
gauge.set(float("nan"))
"""


@pytest.mark.once
def test_a_gauge_that_was_no_number_when_its_process_joined_keeps_what_it_is_set_to(group: Workers) -> None:
    """No number less no number is no number, and nothing that was counted late."""
    one = group.start(NOT_A_NUMBER)
    one.do("[page(), gauge.set(5), replaced_values.add_late()] and None")
    assert one.numbers()["depth"] == 5


@pytest.mark.once
def test_what_is_counted_while_a_process_joins_is_kept(group: Workers) -> None:
    one, two = group.start(COUNTED_MEANWHILE), group.start()
    found = two.numbers()
    assert (found["orders_total"], one.numbers()["orders_total"]) == (4, 4)
    assert [value for name, value in found.items() if name.startswith("depth")] == [4]


def test_metrics_that_are_made_before_us_keep_what_they_have_counted(group: Workers) -> None:
    before = METRICS + "counter.labels('paid').inc(3); summary.observe(4); gauges['max'].set(9)\n"
    one, two = group.start(before), group.start(METRICS)
    two.do("counter.labels('paid').inc()")
    found = two.numbers()
    assert found['orders_total{status="paid"}'] == 4
    assert found["size_bytes_sum"] == 4
    assert found["depth_max"] == 9
    assert one.do("counter.labels('paid')._value.get()") == 3


@pytest.mark.once
def test_a_metric_that_has_become_another_kind_is_there_once(group: Workers) -> None:
    """As after a reload: a dead worker has it as a counter."""
    one = group.start("state = Counter('state', 'State.')")
    one.do("state.inc(3)")
    two = group.start(
        "from prometheus_client import Enum\nstate = Enum('state', 'State.', states=['on', 'off'])"
    )
    two.numbers()
    one.kill()
    for accept in ("", OPENMETRICS):
        assert two.do(f"page({accept!r})").count("# TYPE state") == 1


@pytest.mark.once
def test_metrics_that_one_worker_alone_has_are_on_every_page(group: Workers) -> None:
    one, two = group.start(), group.start()
    one.do("exec(\"late = Counter('late', 'Made late.'); late.inc()\", globals())")
    assert two.numbers()["late_total"] == 1


def test_remove_and_clear_take_away_what_the_process_has_counted(group: Workers) -> None:
    one, two = group.start(METRICS), group.start(METRICS)
    one.do(
        "counter.labels('paid').inc(); counter.labels('open').inc(); histogram.labels('eu', 'b').observe(1)"
    )
    two.do("counter.labels('open').inc()")
    one.do("counter.remove('paid'); counter.remove('open'); histogram.clear()")
    found = two.numbers()
    assert 'orders_total{status="paid"}' not in found
    assert found['orders_total{status="open"}'] == 1
    assert not [name for name in found if name.startswith("latency_seconds_")]
    files = group.folder.rglob("w1-*.names")
    size = sum(path.stat().st_size for path in files)
    for _ in range(50):  # a series that comes back has the room that it had
        one.do("counter.clear(); counter.labels('paid').inc(2)")
    assert two.numbers()['orders_total{status="paid"}'] == 2
    assert sum(path.stat().st_size for path in group.folder.rglob("w1-*.names")) - size < 4000


@pytest.mark.once
def test_gauges_with_functions_are_asked_when_a_page_is_made(group: Workers) -> None:
    code = METRICS + "waiting = [0]\ngauges['livesum'].set_function(lambda: len(waiting))\n"
    one, two = group.start(code), group.start(code)
    one.do("waiting.append(1)")
    assert two.numbers()["depth_livesum"] == 3


@pytest.mark.once
def test_exemplars_of_all_workers_are_shown(group: Workers) -> None:
    one, two = group.start(METRICS), group.start(METRICS)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    one.do(f"serve('/items', headers={{'traceparent': {parent!r}}})")
    one.do("counter.labels('paid').inc(2, {'trace_id': 'abc'})")
    one.do("histogram.labels('eu', 'b').observe(0.5, {'trace_id': 'old'})")
    two.do("histogram.labels('eu', 'b').observe(0.6, {'trace_id': 'new'})")
    page = two.do(f"page({OPENMETRICS!r})")
    assert 'orders_total{status="paid"} 2.0 # {trace_id="abc"} 2.0 ' in page
    assert 'zone="eu",le="1.0"} 2.0 # {trace_id="new"} 0.6 ' in page
    spans = re.findall(rf'{DURATION}_bucket{{.*}} 1.0 # {{span_id="(\w+)",trace_id="(\w+)"}}', page)
    assert [trace for _, trace in spans] == [parent[3:35]]
    assert " # " not in two.do("page()")


def test_a_forked_child_that_serves_nothing_leaves_the_numbers_alone(group: Workers) -> None:
    one, two = group.start(METRICS), group.start(METRICS)
    one.do("counter.labels('paid').inc(); serve('/items')")
    fork = "child = os.fork()\nif not child: counter.labels('paid').inc(9); gauges['livesum'].set(4); os._exit(0)\n"
    one.do(f"exec({(fork + 'os.waitpid(child, 0)')!r}, globals())")
    one.do("counter.labels('paid').inc()")
    found = two.numbers()
    assert (found['orders_total{status="paid"}'], found["depth_livesum"]) == (2, 0)


@pytest.mark.once
def test_our_own_counters_are_added_up_and_stay(group: Workers) -> None:
    one, two = group.start(**QUIET), group.start(**QUIET)
    one.do("own.events.record('before')")  # it has not joined yet
    for worker in (one, two):
        worker.do("own.gateway.report('test', ValueError('x'))")
        worker.numbers()
        worker.do("own.events.record('node_joined')")
    counted = {
        'obs_internal_errors_total{component="test"}': 2,
        'telemetry_events_total{event="before"}': 1,
        'telemetry_events_total{event="node_joined"}': 2,
    }
    for _ in range(2):
        assert counted.items() <= two.numbers().items()
        one.kill()


def test_our_own_counters_begin_anew_in_a_forked_child(group: Workers) -> None:
    one, two = group.start(**QUIET), group.start(**QUIET)
    one.do("own.events.record('before')")
    one.numbers()
    fork = """
child = os.fork()
if not child:
    page()
    own.events.record('after')
    page()
    os._exit(0)
os.waitpid(child, 0)
"""
    one.do(f"exec({fork!r}, globals())")
    found = two.numbers()
    assert [found[f'telemetry_events_total{{event="{name}"}}'] for name in ("before", "after")] == [1, 1]


_DECLARED = """
exec('''
orders = own.metrics.counter("orders", "Orders.", ["plan"])
depths = {
    mode: own.metrics.gauge(f"depth_{mode}", "How many wait.", multiprocess_mode=mode)
    for mode in ("all", "livesum", "max")
}
waiting = own.metrics.gauge("waiting", "How many wait.", function=lambda: os.getpid(), multiprocess_mode="livemax")
sizes = own.metrics.histogram("sizes", "Sizes.", unit="bytes", buckets=(1, 10))
build = own.metrics.info("build", "Which.")
build.info({"release": "1"})
''', globals())
"""


@pytest.mark.once
def test_metrics_that_the_app_declares_are_put_together_like_any_other(group: Workers) -> None:
    declare, settings = _DECLARED.strip(), {"SERVICE_NAME": "shop", **QUIET}
    one, two = group.start(**settings), group.start(**settings)
    for number, worker in enumerate((one, two), start=1):
        worker.do(declare)
        worker.do(f"orders.labels('free').inc({number}); sizes.observe({number})")
        worker.do(f"for depth in depths.values(): depth.set({number})")
    two.do("own.gateway.set_up(debug=True)")  # it alone knows its environment
    pids = [worker.do("os.getpid()") for worker in (one, two)]
    for worker in (one, two):
        found = worker.numbers()
        assert found['orders_total{plan="free"}'] == 3
        assert (found["sizes_bytes_count"], found["sizes_bytes_sum"]) == (2, 3)
        assert [found[f'sizes_bytes_bucket{{le="{bound}"}}'] for bound in ("1.0", "10.0")] == [1, 2]
        assert worker.do("own.metrics.snapshot()['sizes_bytes']['unit']") == "bytes"
        assert (found["depth_livesum"], found["depth_max"]) == (3, 2)
        assert [found[f'depth_all{{worker="{number}"}}'] for number in (1, 2)] == [1, 2]
        assert found["waiting"] == max(pids)
        assert found['build_info{release="1"}'] == 1
        (target,) = (name for name in found if name.startswith("target_info"))
        assert ('environment="development"' in target) is (worker is two)


@pytest.mark.once
def test_collections_are_added_up_and_pauses_have_a_series_for_each_worker(group: Workers) -> None:
    one, two = group.start(), group.start()
    for worker in (one, two):
        worker.do("__import__('gc').collect()")
    one.numbers()
    two.numbers()
    two.kill()
    found = one.numbers()
    assert found["telemetry_collection_runs_total"] == 3
    assert found["telemetry_collection_duration_seconds_count"] == 2
    assert found["telemetry_series"] == len(found)
    pauses = [name for name in found if "cpython_gc_duration_seconds_count" in name and '"2"' in name]
    assert pauses == ['cpython_gc_duration_seconds_count{cpython_gc_generation="2",worker="1"}']


@pytest.mark.once
@pytest.mark.parametrize("odd", ["file", "others", "full"])
def test_where_the_directory_is_no_use_a_process_shows_its_own_numbers_and_warns_once(
    tmp_path: Path, odd: str
) -> None:
    settings = {}
    if odd == "file":
        (tmp_path / "obs").write_text("")
        settings = {"OBS_METRICS_DIRECTORY": str(tmp_path / "obs")}
    elif odd == "others":
        import os

        (tmp_path / f"obs-{os.getuid()}").mkdir(mode=0o755)
    else:
        settings = {"OBS_METRICS_DIRECTORY": "/proc"}
    group = Workers(tmp_path, **settings)
    one = group.start(METRICS)
    one.do("counter.labels('paid').inc(); serve('/items')")
    found = one.numbers()
    assert (found['orders_total{status="paid"}'], found[http("/items")]) == (1, 1)
    one.numbers()
    warnings = one.errors()
    group.end()
    assert warnings.count("the metrics are those of this process alone") == 1


@pytest.mark.once
def test_a_process_that_is_told_to_be_alone_is(tmp_path: Path) -> None:
    group = Workers(tmp_path, OBS_METRICS_WORKERS="off")
    one = group.start(METRICS)
    one.do("counter.labels('paid').inc()")
    assert "process_resident_memory_bytes" in one.numbers()
    assert one.do("type(counter.labels('paid')._value).__name__") == "MutexValue"
    assert group.files == []
    group.end()


def test_samples_reads_what_a_page_has() -> None:
    assert samples('# HELP a\na{b="c d"} 1.0 # {x="y"} 2\n') == {'a{b="c d"}': 1.0}


@pytest.mark.once
def test_metrics_of_registries_that_nobody_observes_are_on_no_page(group: Workers) -> None:
    private = """
from prometheus_client import CollectorRegistry
hidden = Counter("hidden", "x", registry=CollectorRegistry())
"""
    one, two = group.start(private), group.start(private)
    one.do("hidden.inc()")
    one.do("exec(\"later = Counter('later', 'x', registry=CollectorRegistry()); later.inc()\", globals())")
    assert not {"hidden_total", "later_total"} & two.numbers().keys()


@pytest.mark.once
def test_each_observer_shows_its_own_registry(group: Workers) -> None:
    second = """
from prometheus_client import CollectorRegistry
other = CollectorRegistry()
apart = Counter('apart', 'x', registry=other)
"""
    one, two = group.start(second), group.start(second)
    for worker in (one, two):
        worker.do("exec('first = own; own = Observer(registry=other, access_log=False)', globals())")
        worker.do("apart.inc(); serve('/other')")
    found = two.numbers()
    assert (found["apart_total"], found[http("/other")]) == (2, 2)
    two.do("exec('own = first', globals())")
    found = two.numbers()
    assert "apart_total" not in found
    assert http("/other") not in found


@pytest.mark.once
def test_a_metric_of_two_observed_registries_keeps_what_it_counts(group: Workers) -> None:
    """The second registry comes when the first has joined, so that the metric has its cells already."""
    code = METRICS + "from prometheus_client import CollectorRegistry\nother = CollectorRegistry()\n"
    code += "for one in (counter, histogram, gauges['max']): other.register(one)\n"
    one, two = group.start(code), group.start(code)
    for worker in (one, two):
        worker.do(
            "counter.labels('paid').inc(); histogram.labels('eu', 'b').observe(0.5); gauges['max'].set(2)"
        )
        worker.numbers()
        worker.do("exec('second = Observer(registry=other, access_log=False)', globals())")
        worker.do("counter.labels('paid').inc(); histogram.labels('eu', 'b').observe(0.5)")
    found = one.numbers()
    assert found['orders_total{status="paid"}'] == found['latency_seconds_count{a="b",zone="eu"}'] == 4
    assert found["depth_max"] == 2


@pytest.mark.once
def test_a_label_that_is_no_text_of_utf_8_is_shown_by_all(group: Workers) -> None:
    odd = """
from prometheus_client.core import GaugeMetricFamily
class Odd:
    def collect(self):
        family = GaugeMetricFamily("odd", "Odd.", labels=["of"])
        family.add_metric(["\\udc80"], 1)
        yield family
"""
    one, two = group.start(odd, **QUIET), group.start(**QUIET)
    one.numbers()
    one.do("REGISTRY.register(Odd())")
    for worker in (one, two):
        assert worker.numbers()[r'odd{of="\\udc80",worker="1"}'] == 1


@pytest.mark.once
def test_an_info_that_one_worker_has_not_set_yet_is_shown_once(group: Workers) -> None:
    early, late = group.start(BUILD, **QUIET), group.start(BUILD, **QUIET)
    early.do("info.info({'version': '1.2'})")
    for worker in (early, late):
        found = [name for name in worker.numbers() if name.startswith("build_info")]
        assert found == ['build_info{version="1.2"}']


BUILD = """
from prometheus_client import Info
info = Info("build", "What runs.")
"""


@pytest.mark.once
def test_a_fast_path_is_shown_as_taken_where_all_workers_take_it(group: Workers) -> None:
    slow, fast = group.start(OBS_PURE_PYTHON="1"), group.start()
    for worker in (slow, fast):
        assert worker.numbers()['obs_fast_path{name="record"}'] == 0


COLLECTOR = """
class Collector:
    def describe(self): return []
    def collect(self):
        {}
        yield from ()
REGISTRY.register(Collector())
counter = Counter("orders", "Orders taken.")
"""


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(3)",
        "own.metrics.snapshot()",
        r"from prometheus_client.metrics_core import Metric; yield Metric('odd', '\ud800', 'gauge')",
    ],
)
def test_a_collector_that_leaves_reads_metrics_or_has_odd_text_costs_no_page(
    group: Workers, code: str
) -> None:
    one, two = (group.start(COLLECTOR.format(code), **QUIET) for _ in range(2))
    for worker in (one, two):
        worker.do("own.metrics.on_collect(lambda: own.metrics.snapshot() and None) and None")
        worker.do("counter.inc()")
    assert one.numbers()["orders_total"] == two.numbers()["orders_total"] == 2
    one.do('exec(\'late = Counter("late", "Later."); late.inc()\')')
    assert two.numbers()["late_total"] == 1


def test_an_exemplar_that_can_not_be_written_fails_nobody(group: Workers) -> None:
    one = group.start('counter = Counter("orders", "Orders taken.")', **QUIET)
    one.numbers()
    one.do(r"counter.inc(1, {'trace_id': '\ud800'})")
    assert one.numbers()["orders_total"] == 1


@pytest.mark.once
def test_health_is_that_of_the_worker_that_is_worst(group: Workers) -> None:
    check = """
def ask(answer):
    import time
    own.health.add("database", lambda: answer, every_seconds=3600, timeout_seconds=60)
    own.gateway.reply(RequestInfo("GET", "/health/ready", "", "http", {}.get), "/health/ready")
    while "health_check_duration_seconds_count" not in page():
        time.sleep(0.01)
"""
    one, two = group.start(), group.start()
    for worker, answer in ((one, True), (two, False)):
        worker.do(check)
        worker.do(f"ask({answer})")
    for worker in (one, two):
        found = worker.numbers()
        assert found['health_status{component="database"}'] == 3
        assert found['health_checks_total{component="database",status="pass"}'] == 1
        assert found['health_checks_total{component="database",status="fail"}'] == 1
        assert found['health_check_duration_seconds_count{component="database"}'] == 2
    two.kill()
    found = one.numbers()
    assert found['health_status{component="database"}'] == 1
    assert found['health_checks_total{component="database",status="fail"}'] == 1


EXEMPLARS = """
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
class Payments(Collector):
    def collect(self):
        family = CounterMetricFamily("payments", "Paid.")
        family.add_sample("payments_total", {}, 3, None, Exemplar({"trace_id": "abc"}, 2.5, 12.0))
        family.add_sample("payments_total", {"of": "x"}, 4, None, Exemplar({"trace_id": "def"}, float("inf")))
        yield family
REGISTRY.register(Payments())
"""


def test_exemplars_of_a_custom_collector_are_on_every_page(group: Workers) -> None:
    group.start(EXEMPLARS)
    page = group.start().do(f"page({OPENMETRICS!r})")
    assert 'payments_total{worker="1"} 3.0 # {trace_id="abc"} 2.5 12.0' in page
    assert 'payments_total{of="x",worker="1"} 4.0 # {trace_id="def"} +Inf' in page


def test_exemplars_that_another_thread_writes_meanwhile_fail_nobody() -> None:
    own, written = Places(), list[int]()

    class Taken:
        """Cells; while one exemplar is written, another thread takes the others."""

        def keep_exemplar(self, cell: int, *exemplar: object) -> None:
            written.append(cell)
            own.exemplars.clear()

    cells: Any = Taken()
    own.open(cells, None)
    own.exemplars.update({8: Exemplar({}, 1.0), 9: Exemplar({}, 2.0)})
    own.write_exemplars()
    assert len(written) == 1
