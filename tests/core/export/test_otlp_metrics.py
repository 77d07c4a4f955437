"""What a collector gets by OTLP, read with OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
    UntypedMetricFamily,
)
from prometheus_client.metrics_core import Metric

from obs_middleware import ConfigError, Observer
from obs_middleware.export import OtlpMetrics
from tests.core.export.receiving import Received, Receiver, receiver
from tests.core.support import caught, observer, python, request, serve
from tests.core.workers.working import workers
from tests.http_servers import SilentHandler, serving


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def sent(collector: Receiver) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the metrics by name, and the resource, of the one request."""
    (got,) = collector.requests
    assert (got.method, got.path) == ("POST", "/v1/metrics")
    return of_request(got)


def of_request(got: Received) -> tuple[dict[str, Any], dict[str, str]]:
    body = gzip.decompress(got.body) if got.headers.get("content-encoding") == "gzip" else got.body
    (whole,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    metrics = [metric for scope in whole.scope_metrics for metric in scope.metrics]
    resource = {attribute.key: attribute.value.string_value for attribute in whole.resource.attributes}
    return {metric.name: metric for metric in metrics}, resource


def labels(point: Any) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in point.attributes}


def push(own: Observer, *exporters: OtlpMetrics) -> None:
    own.exporters.add(*exporters)
    assert own.exporters.push()


def test_each_type_of_metric_arrives_as_what_it_is(collector: Receiver) -> None:
    began = time.time()
    own = observer(
        service_name="shop", service_version="1.2", otlp_endpoint=collector.url, tracing_enabled=False
    )
    own.metrics.counter("orders", "Orders.", ["plan"]).labels("free").inc(3)
    own.metrics.gauge("depth", "Depth.").set(-2.5)
    sizes = own.metrics.histogram("upload", "Uploads.", ["kind"], unit="bytes", buckets=[1, 10, 100])
    for size in (0.5, 5, 5, 500):
        sizes.labels("photo").observe(size)
    own.metrics.summary("waits_seconds", "Waits.").observe(2)
    own.metrics.enum("mode", "Mode.", states=["on", "off"]).state("on")
    push(own, OtlpMetrics())
    metrics, resource = sent(collector)
    (orders,) = metrics["orders"].sum.data_points
    assert (orders.as_double, labels(orders)) == (3, {"plan": "free"})
    assert metrics["orders"].sum.is_monotonic
    assert metrics["orders"].sum.aggregation_temporality == 2
    assert began - 1 <= orders.start_time_unix_nano / 1e9 <= orders.time_unix_nano / 1e9 <= time.time()
    assert metrics["depth"].gauge.data_points[0].as_double == -2.5
    (upload,) = metrics["upload_bytes"].histogram.data_points
    assert (upload.count, upload.sum, labels(upload)) == (4, 510.5, {"kind": "photo"})
    assert ([*upload.explicit_bounds], [*upload.bucket_counts]) == ([1, 10, 100], [1, 2, 0, 1])
    assert not upload.HasField("min")
    assert metrics["upload_bytes"].unit == "By"
    assert metrics["upload_bytes"].description == "Uploads."
    (waits,) = metrics["waits_seconds"].histogram.data_points
    assert (waits.count, waits.sum, [*waits.bucket_counts], [*waits.explicit_bounds]) == (1, 2, [1], [])
    assert {labels(point)["mode"]: point.as_double for point in metrics["mode"].gauge.data_points} == {
        "on": 1,
        "off": 0,
    }
    assert (resource["service.name"], resource["service.version"]) == ("shop", "1.2")
    assert resource["service.instance.id"]


def test_what_a_collector_of_the_users_own_yields_arrives(collector: Receiver) -> None:
    class Custom:
        def collect(self) -> Any:
            family = Metric("old", "Old.", "summary")
            family.add_sample("old", {"quantile": "0.5"}, 3)
            family.add_sample("old_sum", {}, 12)
            family.add_sample("old_count", {}, 4)
            yield family
            yield UntypedMetricFamily("unknown_thing", "Unknown.", value=7)
            yield CounterMetricFamily("restarts", "Restarts.", value=2, created=time.time() - 60)
            yield HistogramMetricFamily("empty", "Empty.")

    own = observer()
    own.registry.register(Custom())
    push(own, OtlpMetrics(collector.url))
    metrics, _ = sent(collector)
    assert metrics["old"].histogram.data_points[0].count == 4
    assert metrics["old_quantile"].gauge.data_points[0].as_double == 3
    assert metrics["unknown_thing"].gauge.data_points[0].as_double == 7
    (restarts,) = metrics["restarts"].sum.data_points
    assert 59 < (restarts.time_unix_nano - restarts.start_time_unix_nano) / 1e9 < 70
    assert "empty" not in metrics


class Odd:
    """A collector with one histogram and one summary that are sound, and others that no receiver can take."""

    def collect(self) -> Any:
        family = HistogramMetricFamily("sizes", "Sizes.", labels=["kind"])
        family.add_metric(["sound"], [("1", 2), ("+Inf", 3)], 4)
        family.add_metric(["without inf"], [("1", 2)], 4)
        for kind, buckets in {
            "nan": [("1", math.nan), ("+Inf", 3)],
            "inf": [("1", 2), ("+Inf", math.inf)],
            "negative": [("1", -2), ("+Inf", 3)],
            "falls": [("1", 5), ("+Inf", 3)],
            "huge": [("1", 5), ("+Inf", 2.0**64)],
            "nan bound": [("NaN", 5), ("+Inf", 6)],
        }.items():
            family.add_metric([kind], buckets, 4)  # type: ignore[arg-type]
        family.add_sample("sizes_bucket", {"kind": "no bound", "le": "one"}, 5)
        yield family
        waits = SummaryMetricFamily("waits", "Waits.", labels=["kind"])
        waits.add_metric(["sound"], 1, 2)
        for kind, count in {"nan": math.nan, "inf": math.inf, "negative": -1.0}.items():
            waits.add_metric([kind], count, 2)  # type: ignore[arg-type]
        yield waits
        yield CounterMetricFamily("restarts", "Restarts.", value=2, created=math.nan)
        yield CounterMetricFamily("starts", "Starts.", value=2, created=-5)


def test_an_odd_histogram_is_left_out_and_all_others_go(collector: Receiver) -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.").inc(3)
    own.registry.register(Odd())
    push(own, OtlpMetrics(collector.url))
    metrics, _ = sent(collector)
    sizes = {labels(point)["kind"]: point for point in metrics["sizes"].histogram.data_points}
    assert sizes.keys() == {"sound", "without inf"}
    assert ([*sizes["sound"].bucket_counts], [*sizes["without inf"].bucket_counts]) == ([2, 1], [2, 0])
    assert [labels(point) for point in metrics["waits"].histogram.data_points] == [{"kind": "sound"}]
    for name in ("restarts", "starts"):
        (point,) = metrics[name].sum.data_points
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    assert metrics["orders"].sum.data_points[0].as_double == 3


def test_http_metrics_arrive_too(collector: Receiver) -> None:
    own = observer(access_log=False)
    for _ in range(3):
        serve(own, request(), route="/items/{i}", response_bytes=10)
    push(own, OtlpMetrics(f"{collector.url}/", headers={"x-key": "abc"}))
    metrics, _ = sent(collector)
    (point,) = metrics["http_server_request_duration_seconds"].histogram.data_points
    assert (point.count, labels(point)["http_route"]) == (3, "/items/{i}")
    assert collector.requests[0].headers["x-key"] == "abc"


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
def test_the_standard_variables_say_where(
    collector: Receiver, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1/metrics" if "METRICS" in variable else ""
    monkeypatch.setenv(variable, f"{collector.url}{path}")
    push(observer(), OtlpMetrics())
    assert sent(collector)


def test_a_collector_that_refuses_is_a_failure(collector: Receiver) -> None:
    collector.status = 400
    own = observer()
    own.exporters.add(OtlpMetrics(collector.url))
    with caught("obs") as lines, caught("opentelemetry"):
        assert not own.exporters.push()
    assert "the collector has not taken the metrics" in lines.lines[0]


def test_workers_of_one_service_each_send_their_own(collector: Receiver, tmp_path: Path) -> None:
    """A collector adds up what different instances send."""
    before = "from obs_middleware.export import OtlpMetrics\ncounter = Counter('orders', 'Orders taken.')"
    with workers(tmp_path) as group:
        for number in (1, 2):
            worker = group.start(before)
            worker.do(f"counter.inc({number})")
            worker.do(f"own.exporters.add(OtlpMetrics({collector.url!r}))")
            assert worker.numbers()["orders_total"] == sum(range(number + 1))
            assert worker.do("own.exporters.push()")
    orders = {}
    for metrics, resource in map(of_request, collector.requests):
        assert not [name for name in metrics if name.startswith("target")]
        orders[resource["service.instance.id"]] = metrics["orders"].sum.data_points[0].as_double
    assert sorted(orders.values()) == [1, 2]


_ENDS = """
import os
from obs_middleware import Observer
from obs_middleware.export import OtlpMetrics, exporters, schedule
exporters.STOP_SECONDS = 60.0  # on a busy machine a collector may take some seconds
schedule.Together.wait.__defaults__ = (60.0,)
own = Observer(service_name="shop")
own.exporters.add(OtlpMetrics(os.environ["COLLECTOR"], timeout_seconds=60))
own.exporters.start()
own.metrics.counter("orders", "Orders.").inc()
"""


def test_a_process_that_ends_without_being_told_sends_its_last_numbers(collector: Receiver) -> None:
    """Then the SDK's detectors, which run in threads, can't begin any more."""
    python(_ENDS, env={"COLLECTOR": collector.url})
    metrics, resource = of_request(collector.requests[-1])
    assert metrics["orders"].sum.data_points[0].as_double == 1
    assert resource["service.name"] == "shop"


_FORKS = """
import os
from obs_middleware import Observer
from obs_middleware.export import OtlpMetrics
own = Observer(log_setup=False)
own.exporters.add(OtlpMetrics(os.environ["COLLECTOR"]))
assert own.exporters.push()
child = os.fork()
if not child:
    os._exit(not own.exporters.push())
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_sends_over_a_connection_of_its_own() -> None:
    """Two processes that write to one connection would mix their requests."""
    ports: list[int] = []

    class Handler(SilentHandler):
        protocol_version = "HTTP/1.1"  # connections stay open

        def do_POST(self) -> None:
            ports.append(self.client_address[1])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as port:
        found = python(_FORKS, env={"COLLECTOR": f"http://127.0.0.1:{port}", "PYTHONWARNINGS": "ignore"})
    assert found.split() == ["0"]
    assert len(set(ports)) == 2


def test_without_the_exporter_installed_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'obs-middleware\[otlp\]'"):
        OtlpMetrics()
