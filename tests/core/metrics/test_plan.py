"""Which metrics the settings choose: names, labels, buckets, and how many samples they make."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obs_middleware import ConfigError, Observer
from tests.core.metrics.scraping import (
    DURATION,
    HISTOGRAMS,
    OPENMETRICS,
    RESTLESS,
    SAMPLED,
    counts,
    page,
    without_telemetry,
)
from tests.core.support import observer, request, serve, started

_INSTRUMENTATORS = 991  # samples of prometheus-fastapi-instrumentator for the same requests


def _busy(routes: int = 8, **settings: Any) -> Observer:
    """Return an Observer that has served routes with 4 statuses each."""
    own = observer(access_log=False, **settings)
    for number in range(routes):
        for status in (200, 201, 404, 500):
            error = ValueError() if status == 500 else None
            noted: dict[str, Any] = {
                "route": f"/r{number}",
                "status": status,
                "error": error,
                "time_to_first_byte": 0.0,
            }
            serve(own, request("POST"), request_bytes=7, **noted)
    return own


def _samples(own: Observer) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(page(own))
        for sample in family.samples
    }


def _value(own: Observer, name: str, **labels: str) -> float | None:
    return _samples(own).get((name, frozenset(labels.items())))


def test_default_page_of_50_routes_and_4_statuses_is_at_most_three_times_the_instrumentators() -> None:
    own = _busy(routes=50)
    lines = [line for line in page(own).splitlines() if not line.startswith("#")]
    assert 1000 < len(lines) <= 3 * _INSTRUMENTATORS


def test_durations_have_the_status_and_the_others_the_route_alone() -> None:
    own = _busy()
    labels = {
        name: {
            frozenset(label for label, _ in key) for sample, key in _samples(own) if sample == f"{name}_count"
        }
        for name in HISTOGRAMS
    }
    by_route = frozenset({"http_request_method", "http_route"})
    assert labels.pop(DURATION) == {by_route | {"http_response_status_code", "error_type"}}
    assert all(shown == {by_route} for shown in labels.values())
    assert _value(own, f"{HISTOGRAMS[3]}_count", http_request_method="POST", http_route="/r7") == 4


def test_with_all_detail_every_histogram_has_the_status() -> None:
    own = _busy(metrics_detail="status")
    key = {
        "http_request_method": "POST",
        "http_route": "/r7",
        "http_response_status_code": "201",
        "error_type": "",
    }
    for name in HISTOGRAMS:
        assert _value(own, f"{name}_count", **key) == 1
    assert _value(own, f"{HISTOGRAMS[2]}_bucket", le="100.0", **key) == 1


def test_status_can_be_shown_as_its_class() -> None:
    own = _busy(metrics_group_status=True)
    key = {
        "http_request_method": "POST",
        "http_route": "/r7",
        "http_response_status_code": "2xx",
        "error_type": "",
    }
    assert _value(own, f"{DURATION}_count", **key) == 2


def test_an_error_that_is_a_status_is_shown_as_its_class_too() -> None:
    own = observer(access_log=False, metrics_group_status=True)
    for status in (500, 503):
        serve(own, status=status, route="/a")
    key = {"http_request_method": "GET", "http_route": "/a", "http_response_status_code": "5xx"}
    assert _value(own, f"{DURATION}_count", **key, error_type="5xx") == 2


def test_only_the_chosen_instruments_exist() -> None:
    own = _busy(http_metrics="request_duration")
    names = {sample for sample, _ in _samples(own) if sample.startswith("http_")}
    assert names == {f"{DURATION}_{suffix}" for suffix in ("bucket", "count", "sum")}
    with pytest.raises(
        ConfigError, match="http_metrics must be some of request_duration, time_to_first_byte"
    ):
        observer(http_metrics="durations")


def test_a_route_can_have_buckets_of_its_own() -> None:
    own = observer(
        access_log=False, metrics_route_buckets={"/report": (1, 30, 120)}, metrics_buckets=(0.1, 1)
    )
    own.gateway.perf_counter = count(0.0, 0.01).__next__
    serve(own, route="/report")
    serve(own, route="/a")
    key = {"http_request_method": "GET", "http_response_status_code": "200", "error_type": ""}
    bounds = {
        route: sorted(
            dict(labels)["le"]
            for name, labels in _samples(own)
            if name == f"{DURATION}_bucket" and dict(labels)["http_route"] == route
        )
        for route in ("/report", "/a")
    }
    assert bounds == {"/report": ["+Inf", "1.0", "120.0", "30.0"], "/a": ["+Inf", "0.1", "1.0"]}
    assert _value(own, f"{DURATION}_bucket", http_route="/report", le="1.0", **key) == 1


def test_a_route_may_be_given_as_urls_of_django_have_it() -> None:
    """Or as an app names it that is routed by something else, `route_of` for example."""
    own = observer(access_log=False, metrics_route_buckets={"report/<int:id>/": (1,), "jobs": (2,)})
    for route in ("/report/<int:id>/", "jobs"):
        serve(own, route=route)
    bounds = {
        (dict(labels)["http_route"], dict(labels)["le"])
        for name, labels in _samples(own)
        if name == f"{DURATION}_bucket"
    }
    assert bounds == {
        ("/report/<int:id>/", "1.0"),
        ("/report/<int:id>/", "+Inf"),
        ("jobs", "2.0"),
        ("jobs", "+Inf"),
    }


@pytest.mark.parametrize("bounds", ["/a=1,2\n/b = 0.5, 3", {"/a": [1, 2], "/b": (0.5, 3)}])
def test_buckets_of_routes_are_read_from_text_and_from_mappings(bounds: Any) -> None:
    assert observer(metrics_route_buckets=bounds).settings.metrics_route_buckets == (
        ("/a", (1, 2)),
        ("/b", (0.5, 3)),
    )


@pytest.mark.parametrize("bounds", ["/a", "/a=2,1", {"/a": ()}, {"/a": "x"}, "/a=1,,2", {"/a": (-1,)}])
def test_buckets_of_routes_that_are_none_are_refused(bounds: Any) -> None:
    with pytest.raises(ConfigError, match="metrics_route_buckets must be bounds by route"):
        observer(metrics_route_buckets=bounds)


def test_exemplars_are_kept_where_rows_are_summed() -> None:
    own = observer(access_log=False, tracing_enabled=False)
    for status in (200, 404):
        serve(own, request(headers=SAMPLED), route="/a", status=status, time_to_first_byte=0.0)
    text = page(own, OPENMETRICS)
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith(f"{HISTOGRAMS[1]}_bucket") and "trace_id" in line
    ]
    assert 'le="0.1"' in line


@pytest.mark.parametrize(
    "names",
    [
        "opentelemetry",
        "classic",
        "both",
        "prometheus-fastapi-instrumentator",
        "starlette-exporter",
        "prometheus_flask_exporter",
        "django-prometheus",
        "both,starlette-exporter,prometheus_flask_exporter,django-prometheus",
    ],
)
def test_page_under_any_names_is_what_parsers_and_prometheus_client_read(names: str) -> None:
    own = _busy(metric_names=names)
    with started(own) as exchange:
        exchange.add_labels(zone="a", area="b")
        exchange.status = 200
    exchange.finish()
    theirs = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(without_telemetry(generate_latest(own.registry).decode()))
        for sample in family.samples
    }
    assert {key: value for key, value in _samples(own).items() if not key[0].startswith(RESTLESS)} == theirs
    strict = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_openmetrics(without_telemetry(page(own, OPENMETRICS)))
        for sample in family.samples
    }
    assert strict.keys() == theirs.keys()


@pytest.mark.parametrize("chosen", ["none", "", ()])
def test_without_any_instrument_the_rest_of_the_page_is_there(chosen: object) -> None:
    own = _busy(http_metrics=chosen)
    assert not any(name.startswith("http_") for name, _ in _samples(own))
    assert ("obs_fast_path", frozenset({("name", "http")})) in _samples(own)


@pytest.mark.parametrize("number", [3, 64, 65, 200])
def test_any_number_of_bounds_is_counted(number: int) -> None:
    own = observer(access_log=False, metrics_buckets=tuple(range(1, number + 1)))
    own.gateway.perf_counter = count(0.0, 0.01).__next__
    exchange = serve(own, route="/a")
    key = {
        "http_request_method": "GET",
        "http_route": "/a",
        "http_response_status_code": "200",
        "error_type": "",
    }
    assert 0 < exchange.duration < 1
    assert _value(own, f"{DURATION}_bucket", le="1.0", **key) == 1
    assert _value(own, f"{DURATION}_bucket", le=f"{number}.0", **key) == 1


@pytest.mark.parametrize(
    "route", ["/a\x1fb", "/a\x1fteam", "/a\x1fa-b\x1fx", "/a\x1fle\x1f1", "\x1f", "/a\x1fteam\x1fx\x1fy"]
)
def test_route_of_an_app_with_any_character_is_a_route(route: str) -> None:
    own = observer(access_log=False)
    serve(own, route=route)
    assert counts(own) == {("GET", route, "200", ""): 1}


def test_label_of_an_app_with_any_character_is_a_label() -> None:
    own = observer(access_log=False)
    with started(own) as exchange:
        exchange.add_labels(team='a"\\\n\x1fb\x1fc', zone="")
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    (labels,) = [
        dict(labels) for name, labels in _samples(own) if name == f"{DURATION}_count" and dict(labels)["team"]
    ]
    assert labels["team"] == 'a"\\\n b c'
