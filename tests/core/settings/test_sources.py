"""Where settings come from, and which source beats which."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import ConfigError, Observer, Settings
from tests.core.settings.loading import DEFAULTS, NAMES, from_env
from tests.core.support import SHORT_NAMES


def test_keyword_beats_framework_beats_obs_beats_otel_beats_short_name() -> None:
    env = {
        "SERVICE_NAME": "short",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=resource",
        "OTEL_SERVICE_NAME": "otel",
        "OBS_SERVICE_NAME": "obs",
    }
    config = {"OBS_SERVICE_NAME": "framework"}
    assert Settings.load(env=env, config=config, service_name="keyword").service_name == "keyword"
    assert Settings.load(env=env, config=config).service_name == "framework"
    for name in reversed(tuple(env)):
        found = Settings.load(env=env).service_name
        assert found == env.pop(name).removeprefix("service.name=")
    assert Settings.load(env=env).service_name == "unknown_service"


@pytest.mark.parametrize("name", sorted(SHORT_NAMES))
def test_short_name_is_read_and_yields_to_its_obs_name(name: str) -> None:
    weak, strong = {
        "LOG_LEVEL": ("DEBUG", "ERROR"),
        "REDACT_PII": ("false", "true"),
        "TRACING_ENABLED": ("false", "true"),
        "OTLP_ENDPOINT": ("http://a:4318", "http://b:4318"),
    }.get(name, ("a", "b"))
    field = name.lower()
    alone, both = from_env(**{name: weak}), from_env(**{name: weak, f"OBS_{name}": strong})
    assert getattr(alone, field) == {"false": False}.get(weak, weak)
    assert getattr(both, field) == {"true": True}.get(strong, strong)


@pytest.mark.parametrize(
    ("env", "field", "value"),
    [
        ({"OTEL_SERVICE_NAME": " shop "}, "service_name", "shop"),
        ({"OTEL_SERVICE_NAME": " "}, "service_name", "unknown_service"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=%20"}, "service_name", "unknown_service"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name = shop "}, "service_name", "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2"}, "service_version", "1.2"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=staging"}, "environment", "staging"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=new,deployment.environment=old"},
            "environment",
            "new",
        ),
        ({"OTEL_RESOURCE_ATTRIBUTES": "no pair at all,,="}, "service_name", "unknown_service"),
        ({"OTEL_SDK_DISABLED": "TRUE"}, "tracing_enabled", False),
        ({"OTEL_SDK_DISABLED": "1"}, "tracing_enabled", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, "otlp_endpoint", "http://a:4318"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/v1/traces",
            },
            "otlp_endpoint",
            "http://b/v1/traces",
        ),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, "trace_sample_ratio", 1.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "trace_sample_ratio", 0.0),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            "trace_sample_ratio",
            0.25,
        ),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, "trace_sample_ratio", 1.0),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "trace_sample_ratio", None),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.25"}, "trace_sample_ratio", None),
    ],
)
def test_standard_variables_of_opentelemetry_are_read(env: dict[str, str], field: str, value: object) -> None:
    assert getattr(from_env(**env), field) == value


def test_resource_attributes_are_percent_decoded() -> None:
    assert from_env(OTEL_RESOURCE_ATTRIBUTES="service.name=my%20shop").service_name == "my shop"


def test_empty_variable_counts_as_unset() -> None:
    names = [
        *(f"OBS_{name.upper()}" for name in NAMES if not name.endswith("_path")),
        *SHORT_NAMES,
        "OTEL_SERVICE_NAME",
        "OTEL_SDK_DISABLED",
    ]
    names += ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert from_env(**dict.fromkeys(names, "")) == DEFAULTS


@pytest.mark.parametrize("name", ["metrics_path", "live_path", "ready_path", "startup_path"])
def test_path_that_is_none_or_empty_switches_its_page_off(name: str) -> None:
    label = f"OBS_{name.upper()}"
    for settings in (
        Settings(**{name: None}),  # type: ignore[arg-type]
        from_env(**{label: ""}),
        Settings.load(config={label: None}, env={}),
        Settings.load(config={label: ""}, env={label: "/own"}),
    ):
        assert getattr(settings, name) is None
        assert name not in settings.own_paths.values()
        assert len(settings.own_paths) == 3


def test_empty_value_of_the_framework_leaves_the_environments() -> None:
    settings = Settings.load(config={"OBS_SERVICE_NAME": ""}, env={"OBS_SERVICE_NAME": "shop"})
    assert settings.service_name == "shop"


def test_framework_settings_of_others_are_not_read() -> None:
    assert Settings.load(config={"DEBUG": True, "OBSERVE": 1, 7: 8}, env={"PATH": "/bin"}) == DEFAULTS  # type: ignore[dict-item]


def test_framework_gives_python_values_as_well_as_text() -> None:
    config = {"OBS_METRICS_BUCKETS": (0.1, 1), "OBS_ACCESS_LOG": False, "OBS_METRICS_MAX_SERIES": "100"}
    settings = Settings.load(config=config | {"OBS_HEALTH_TOKEN": None}, env={})
    assert (settings.metrics_buckets, settings.access_log, settings.metrics_max_series) == (
        (0.1, 1.0),
        False,
        100,
    )


def test_observer_reads_the_environment_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_SERVICE_NAME", "shop")
    assert Observer(registry=CollectorRegistry()).settings.service_name == "shop"


def test_argument_of_the_sampler_that_is_none_keeps_all_traces() -> None:
    env = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"}
    assert from_env(**env).trace_sample_ratio == 1.0


def test_value_that_a_stronger_source_replaces_is_no_error() -> None:
    assert from_env(LOG_LEVEL="trace", OBS_LOG_LEVEL="ERROR").log_level == "ERROR"


OF_OTHERS = [
    "OBS_PORT",
    "OBS_COLLECTOR_SERVICE_HOST",
    "OBS_SECRET_ACCESS_KEY",
    "OBS_SERVICE_PORT_HTTP",
    "OBS_METRICS_PORT",  # of a service called obs-metrics, and near to OBS_METRICS_PATH
    "OBS_METRICS_PORT_9090_TCP_ADDR",
    "OBS_BUCKET",
]


@pytest.mark.parametrize("name", OF_OTHERS)
def test_name_of_another_that_begins_as_ours_is_no_error(name: str) -> None:
    """Kubernetes makes such names of a service that is called obs; clouds have an OBS of their own.

    An app may take its whole environment over into its framework's config.
    """
    assert from_env(**{name: "10.0.0.1"}) == DEFAULTS
    assert Settings.load(env={}, config={name: "10.0.0.1"}) == DEFAULTS


@pytest.mark.parametrize("source", ["env", "config"])
def test_near_miss_of_a_name_is_an_error_wherever_it_stands(source: str) -> None:
    given: Any = {"env": {}, "config": {}, source: {"OBS_METRICS_PTH": "/m"}}
    with pytest.raises(ConfigError, match="OBS_METRICS_PTH is not a setting: did you mean OBS_METRICS_PATH"):
        Settings.load(**given)


def test_standard_endpoint_is_not_taken_where_the_standard_exporter_is_none() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert from_env(**endpoint, OTEL_TRACES_EXPORTER="none").otlp_endpoint is None
    assert from_env(**endpoint, OTEL_TRACES_EXPORTER="otlp").otlp_endpoint == "http://collector:4318"
