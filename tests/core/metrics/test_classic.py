"""The names of other exporters: what their dashboards ask for is there, with their labels and their buckets."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obs_middleware import ConfigError, Observer
from tests.core.metrics.scraping import DURATION, page
from tests.core.support import observer, request, serve, started


def _served(names: str, **settings: Any) -> Observer:
    own = observer(access_log=False, metric_names=names, **settings)
    own.gateway.perf_counter = count(0.0, 0.001).__next__
    for _ in range(2):
        serve(own, request("POST"), route="/a", status=201, request_bytes=10, response_bytes=20)
    serve(own, route="/a", status=500, error=KeyError("x"))
    serve(own, route=None, status=404)
    return own


def _lines(own: Observer) -> dict[str, float]:
    """Return the page's samples by name and sorted labels, as a dashboard selects them."""
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in parse_text(page(own))
        for sample in family.samples
    }


def test_classic_names_count_and_measure_by_method_path_and_status() -> None:
    lines = _lines(_served("classic"))
    assert lines["http_requests_total{method=POST,path=/a,status=201}"] == 2
    assert lines["http_requests_total{method=GET,path=/a,status=500}"] == 1
    assert lines["http_requests_total{method=GET,path=,status=404}"] == 1
    assert lines["http_request_duration_seconds_count{method=POST,path=/a,status=201}"] == 2
    assert not any(line.startswith("http_server_") for line in lines)


def test_labels_of_the_app_that_classic_names_have_themselves_are_shown_as_exported() -> None:
    own = observer(access_log=False, metric_names="classic")
    exchange = started(own)
    exchange.add_labels(method="by-card", path="checkout", team="a")
    exchange.status = 200
    exchange.finish()
    labels = "exported_method=by-card,exported_path=checkout,method=GET,path=,status=200,team=a"
    assert _lines(own)[f"http_requests_total{{{labels}}}"] == 1


def test_both_shows_the_same_requests_under_both_names() -> None:
    lines = _lines(_served("both"))
    assert lines["http_requests_total{method=POST,path=/a,status=201}"] == 2
    key = "error_type=,http_request_method=POST,http_response_status_code=201,http_route=/a"
    assert lines[f"{DURATION}_count{{{key}}}"] == 2


def test_names_of_fastapi_instrumentator() -> None:
    own = _served("prometheus-fastapi-instrumentator")
    open_one = started(own)
    lines = _lines(own)
    assert lines["http_requests_total{handler=/a,method=POST,status=2xx}"] == 2
    assert lines["http_requests_total{handler=none,method=GET,status=4xx}"] == 1
    assert lines["http_request_size_bytes_sum{handler=/a}"] == 20
    assert lines["http_response_size_bytes_count{handler=/a}"] == 3
    assert lines["http_request_duration_seconds_bucket{handler=/a,le=0.1,method=POST}"] == 2
    assert lines["http_request_duration_highr_seconds_bucket{le=0.01}"] == 4
    assert lines["http_requests_inprogress{}"] == 1
    assert sum(line.startswith("http_request_duration_highr_seconds_bucket") for line in lines) == 22
    open_one.finish()


def test_names_of_starlette_exporter() -> None:
    own = _served("starlette-exporter", service_name="shop")
    lines = _lines(own)
    assert lines["starlette_requests_total{app_name=shop,method=POST,path=/a,status_code=201}"] == 2
    assert (
        lines[
            "starlette_request_duration_seconds_bucket{app_name=shop,le=0.075,method=POST,path=/a,status_code=201}"
        ]
        == 2
    )
    assert lines["starlette_requests_in_progress{app_name=shop,method=GET}"] == 0


def test_names_of_flask_exporter() -> None:
    lines = _lines(_served("prometheus_flask_exporter"))
    assert lines["flask_http_request_total{method=POST,status=201}"] == 2
    assert lines["flask_http_request_exceptions_total{method=GET,status=500}"] == 1
    assert lines["flask_http_request_duration_seconds_count{method=POST,path=/a,status=201}"] == 2
    assert "flask_http_request_exceptions_total{method=POST,status=201}" not in lines


def test_names_of_django_prometheus() -> None:
    lines = _lines(_served("django-prometheus"))
    assert lines["django_http_requests_before_middlewares_total{}"] == 4
    assert lines["django_http_responses_total_by_status_total{status=201}"] == 2
    assert (
        lines["django_http_responses_total_by_status_view_method_total{method=POST,status=201,view=/a}"] == 2
    )
    assert (
        lines["django_http_requests_latency_seconds_by_view_method_bucket{le=75.0,method=POST,view=/a}"] == 2
    )
    assert lines["django_http_requests_latency_including_middlewares_seconds_count{}"] == 4
    assert lines["django_http_exceptions_total_by_type_total{type=KeyError}"] == 1
    assert lines["django_http_requests_body_total_bytes_bucket{le=16.0}"] == 4
    assert (
        lines[
            "django_http_responses_total_by_status_view_method_total{method=GET,status=404,view=<unnamed view>}"
        ]
        == 1
    )


def test_names_of_several_can_stand_side_by_side() -> None:
    lines = _lines(_served("opentelemetry,django-prometheus,starlette-exporter"))
    assert {"django_http_requests_before_middlewares_total{}", "obs_fast_path{name=http}"} <= lines.keys()
    assert any(line.startswith(DURATION) for line in lines)


def test_two_sets_with_a_name_in_common_are_refused() -> None:
    with pytest.raises(ConfigError, match="metric_names has two sets that both have http_requests"):
        observer(metric_names="both,prometheus-fastapi-instrumentator")


def test_observers_of_one_registry_have_the_same_names() -> None:
    registry = CollectorRegistry()
    observer(registry=registry, metric_names="classic")
    with pytest.raises(ConfigError, match=r"metric_names must be \('classic',\).*registry=CollectorRegistry"):
        observer(registry=registry)


def test_names_that_nobody_has_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="metric_names must be opentelemetry, classic, both, prometheus-fastapi-"
    ):
        observer(metric_names="statsd")
