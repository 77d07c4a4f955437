"""Exports to the real parts: Pushgateway and node-exporter take what we send, and Prometheus' linter finds it clean."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.metrics_core import GaugeMetricFamily

from obs_middleware import Observer
from obs_middleware.export import OtlpMetrics, Pushgateway, Textfile
from tests import installed, programs, running
from tests.core.support import caught, eventually, observer, request, serve
from tests.running import Server

PUSHGATEWAY, NODE_EXPORTER = (
    programs.find("prometheus-pushgateway"),
    programs.find("prometheus-node-exporter"),
)
PROMTOOL, VICTORIA_METRICS = programs.find("promtool"), programs.find("victoria-metrics")
pytestmark = pytest.mark.once
needs_pushgateway = pytest.mark.skipif(
    PUSHGATEWAY is None, reason="no prometheus-pushgateway here (scripts/fetch-debian-testing)"
)
needs_node_exporter = pytest.mark.skipif(
    NODE_EXPORTER is None, reason="no prometheus-node-exporter here (scripts/fetch-debian-testing)"
)


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = [str(PUSHGATEWAY), "--web.listen-address=127.0.0.1:{port}"]
    folder = tmp_path_factory.mktemp("pushgateway")
    with running.serve(command, folder=folder, env=installed.clean(), ready="/-/ready") as server:
        yield server


def app(service_name: str) -> Observer:
    """Return the Observer of an app that has served requests and has metrics of all types and of its process."""
    own = observer(service_name=service_name, metrics_prefix="shop")
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        own.registry.register(collector)
    own.metrics.counter("orders", "Orders.", ["plan"]).labels('"free"\n').inc(2)
    own.metrics.gauge("queue_depth", "Depth.").set(4)
    own.metrics.summary("wait", "Waits.", unit="seconds").observe(0.1)
    own.metrics.info("build", "Build.").info({"commit": "abc"})
    own.metrics.enum("mode", "Mode.", states=["on", "off"]).state("on")
    with own.metrics.timed("charge", "Charges."):
        serve(own, request(), route="/items/{i}")
    own.events.record("opened")
    return own


def series(page: bytes, name: str) -> list[str]:
    return [line for line in page.decode().splitlines() if re.match(rf"{name}[{{ ]", line)]


@needs_pushgateway
def test_a_pushgateway_takes_all_metrics_and_a_push_replaces_the_group(gateway: Server) -> None:
    own = app("shop")
    extra = own.metrics.gauge("extra", "Extra.", ["n"])
    extra.labels(1).set(1)
    own.exporters.add(Pushgateway(f"http://127.0.0.1:{gateway.port}", grouping={"instance": "a"}))
    assert own.exporters.push()
    page = gateway.get("/metrics").body
    (orders,) = series(page, "shop_orders_total")
    assert 'instance="a"' in orders
    assert 'job="shop"' in orders
    assert orders.endswith(" 2")
    assert series(page, "shop_extra")
    assert series(page, "http_server_request_duration_seconds_count")
    assert series(page, "shop_charge_seconds_count")
    extra.remove(1)
    assert own.exporters.push()
    assert not series(gateway.get("/metrics").body, "shop_extra")


@needs_pushgateway
def test_a_job_that_fails_leaves_standing_when_it_went_well_last(gateway: Server) -> None:
    def run(*, fails: bool) -> None:
        own = observer()
        own.exporters.add(Pushgateway(f"http://127.0.0.1:{gateway.port}"))
        try:
            with own.exporters.job("nightly"):
                if fails:
                    raise LookupError
        except LookupError:
            pass

    def ends(end: str) -> list[str]:
        return series(gateway.get("/metrics").body, f"obs_job_last_{end}_timestamp_seconds")

    run(fails=False)
    well = ends("success")
    assert len(well) == 1
    assert ends("failure") == []
    run(fails=True)
    assert ends("success") == well
    assert len(ends("failure")) == 1
    run(fails=False)
    assert ends("success") != well


class Twice:
    """A collector of the user's own, which yields a series twice."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("twice", "There twice.", 1)
        yield GaugeMetricFamily("twice", "There twice.", 2)


@needs_pushgateway
def test_what_a_pushgateway_says_against_a_push_is_in_the_log(gateway: Server) -> None:
    own = observer()
    own.registry.register(Twice())
    own.exporters.add(Pushgateway(f"http://127.0.0.1:{gateway.port}"))
    with caught("obs") as lines:
        assert not own.exporters.push()
    assert "the gateway answers 400 Bad Request" in lines.lines[0]
    assert "twice" in lines.lines[0]


@needs_node_exporter
def test_node_exporter_shows_the_textfiles_of_several_services(tmp_path: Path) -> None:
    """Two services on one machine have the same series, and node-exporter some of its own: none may be there twice."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    for service in ("shop", "stock"):
        own = app(service)
        own.exporters.add(Textfile(folder / f"{service}.prom"))
        assert own.exporters.push()
        with own.exporters.job("nightly"):
            pass
    command = [
        str(NODE_EXPORTER),
        "--web.listen-address=127.0.0.1:{port}",
        f"--collector.textfile.directory={folder}",
        "--collector.disable-defaults",
        "--collector.textfile",
    ]
    with running.serve(command, folder=tmp_path, env=installed.clean(), ready="/") as server:
        answer = server.get("/metrics")
        page = answer.body
        assert answer.status == 200, page
        assert series(page, "node_textfile_scrape_error") == ["node_textfile_scrape_error 0"]
        for name in (
            "shop_orders_total",
            "http_server_request_duration_seconds_count",
            "python_info",
            "target_info",
        ):
            assert len(series(page, name)) == 2, name
        assert len(series(page, "process_cpu_seconds_total")) == 1
        assert "shop.prom" in page.decode()


@pytest.mark.skipif(
    VICTORIA_METRICS is None, reason="no victoria-metrics here (scripts/fetch-debian-testing)"
)
def test_victoria_metrics_takes_the_numbers_by_otlp(tmp_path: Path) -> None:
    command = [
        str(VICTORIA_METRICS),
        "-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={tmp_path / 'data'}",
        "-opentelemetry.usePrometheusNaming",
        "-search.latencyOffset=0s",
    ]
    with running.serve(command, folder=tmp_path, env=installed.clean(), ready="/health") as server:
        own = app("shop")
        own.exporters.add(OtlpMetrics(f"http://127.0.0.1:{server.port}/opentelemetry"))
        assert own.exporters.push()
        server.get("/internal/force_flush")
        for query, expected in (
            ("shop_orders_total", 2),
            ("shop_queue_depth", 4),
            ("shop_wait_seconds_count", 1),
            ('shop_charge_seconds_count{outcome="ok"}', 1),
            ('http_server_request_duration_seconds_bucket{http_route="/items/{i}",le="10"}', 1),
            ('shop_mode{shop_mode="on"}', 1),
        ):
            eventually(lambda query=query: asked(server, query))  # type: ignore[misc]
            (found,) = asked(server, query)
            assert float(found["value"][1]) == expected, query
            assert found["metric"]["service_name"] == "shop"


def asked(server: Server, query: str) -> list[Any]:
    answer = json.loads(server.get(f"/api/v1/query?{urlencode({'query': query})}").body)
    found: list[Any] = answer["data"]["result"]
    return found


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (scripts/fetch-debian-testing)")
def test_the_linter_of_prometheus_finds_nothing_in_what_is_exported(tmp_path: Path) -> None:
    own = app("shop")
    own.exporters.add(Textfile(tmp_path / "shop.prom"))
    with own.exporters.job("nightly"):
        pass
    text = (tmp_path / "shop.prom").read_bytes()
    done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, timeout=60)
    complaints = [line for line in done.stderr.decode().splitlines() if not line.startswith("python_")]
    assert complaints == []
