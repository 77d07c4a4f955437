"""Settings: where each value comes from, and what is said when one is not as it must be."""

from __future__ import annotations

import math
from typing import Any, get_args, get_type_hints

import pytest
from msgspec import Meta
from prometheus_client import CollectorRegistry

from obs_middleware import ConfigError, Observer, Settings
from tests.core.settings.loading import DEFAULTS, NAMES, SECRET, complaint, from_env, made


def metas(kind: Any) -> list[Meta]:
    return [meta for part in get_args(kind) for meta in ([part] if isinstance(part, Meta) else metas(part))]


def test_without_any_setting_the_defaults_hold() -> None:
    assert Settings() == DEFAULTS
    assert DEFAULTS.service_name == "unknown_service"
    assert DEFAULTS.environment is None
    assert DEFAULTS.otlp_endpoint is None
    paths = (DEFAULTS.metrics_path, DEFAULTS.live_path, DEFAULTS.ready_path, DEFAULTS.startup_path)
    assert paths == ("/metrics", "/health/live", "/health/ready", "/health/startup")


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "yes", "On", " on "])
def test_flag_is_on_in_every_usual_spelling(text: str) -> None:
    assert Settings.load(env={"OBS_REDACT_PII": text}, redact_keys=()).redact_pii is True


@pytest.mark.parametrize("text", ["0", "false", "False", "no", "OFF"])
def test_flag_is_off_in_every_usual_spelling(text: str) -> None:
    assert from_env(OBS_REDACT_PII=text).redact_pii is False


def test_lists_are_written_with_commas() -> None:
    settings = from_env(OBS_METRICS_BUCKETS="0.1, 0.5 ,1", OBS_REDACT_KEYS="iban, tax_id,")
    assert settings.metrics_buckets == (0.1, 0.5, 1.0)
    assert settings.redact_keys == ("iban", "tax_id")


def test_choices_are_read_in_any_case() -> None:
    settings = from_env(OBS_LOG_LEVEL="debug", OBS_LOG_FORMAT="JSON")
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")


def test_keyword_may_be_a_list_or_whole_numbers() -> None:
    assert Settings.load(env={}, metrics_buckets=[1, 2]).metrics_buckets == (1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "text", "value"), [("metrics_buckets", "0.1,1", (0.1, 1.0)), ("redact_keys", "iban", ("iban",))]
)
def test_keyword_may_be_written_as_its_error_wants_it(name: str, text: str, value: object) -> None:
    options: dict[str, Any] = {name: text}
    assert getattr(Settings.load(env={}, **options), name) == value


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("OBS_TRACE_SAMPLE_RATIO", "10%", "a number between 0 and 1"),
        ("OBS_TRACE_SAMPLE_RATIO", "1.5", "a number between 0 and 1"),
        ("OBS_TRACE_SAMPLE_RATIO", "nan", "a number between 0 and 1"),
        ("OBS_METRICS_MAX_SERIES", "9", "a whole number, 10 or more"),
        ("OBS_METRICS_MAX_SERIES", "many", "a whole number, 10 or more"),
        ("OBS_METRICS_PATH", "metrics", "a path such as '/metrics', no query, no slash at its end"),
        ("OBS_METRICS_PATH", "/", "a path such as '/metrics', no query, no slash at its end"),
        ("OBS_METRICS_PATH", "/metrics/", "a path such as '/metrics', no query, no slash at its end"),
        ("OBS_METRICS_PATH", "/m?x", "a path such as '/metrics', no query, no slash at its end"),
        ("OBS_REQUEST_ID_HEADER", "X Request", "a header name such as 'X-Request-ID'"),
        ("OBS_REQUEST_ID_HEADER", "X:\r\nY", "a header name such as 'X-Request-ID'"),
        ("OBS_LOG_LEVEL", "verbose", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("OBS_LOG_FORMAT", "xml", "auto, json or pretty"),
        ("OBS_ACCESS_LOG", "maybe", "true or false"),
        ("OBS_OTLP_ENDPOINT", "localhost:4318", "a URL such as 'http://localhost:4318'"),
        ("OTLP_ENDPOINT", "localhost:4318", "a URL such as 'http://localhost:4318'"),
        ("LOG_LEVEL", "verbose", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ],
)
def test_error_tells_the_users_name_what_was_wanted_and_what_was_got(
    name: str, value: str, wanted: str
) -> None:
    assert complaint(**{name: value}) == f"{name} must be {wanted}, got {value!r}"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_wants_of_a_value_of_no_kind(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} must be .+, got "):
        made(**{name: object()})


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_description_for_the_table(name: str) -> None:
    found = metas(get_type_hints(Settings, include_extras=True)[name])
    assert any(meta.description for meta in found)
    assert any((meta.extra or {}).get("wants") for meta in found)


@pytest.mark.parametrize(
    "bounds", [(1.0, 0.5), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (), (math.nan,), (0.1, math.nan)]
)
def test_bounds_must_be_positive_and_ascending(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="metrics_buckets must be ascending positive seconds"):
        Settings(metrics_buckets=bounds)


def test_a_last_bound_that_is_infinite_is_the_one_that_each_histogram_has() -> None:
    assert Settings(metrics_buckets=(0.1, math.inf)).metrics_buckets == (0.1,)
    assert from_env(OBS_METRICS_BUCKETS="0.1,inf").metrics_buckets == (0.1,)
    routes = Settings(metrics_route_buckets=(("/slow", (1.0, math.inf)),)).metrics_route_buckets
    assert routes == (("/slow", (1.0,)),)
    with pytest.raises(ConfigError, match="metrics_buckets must be ascending positive seconds"):
        Settings(metrics_buckets=(math.inf,))


def test_paths_that_are_ours_must_differ() -> None:
    with pytest.raises(ConfigError, match="must differ, got /x, /x, /health/ready, /health/startup"):
        Settings(metrics_path="/x", live_path="/x")


def test_the_two_id_headers_must_differ() -> None:
    with pytest.raises(ConfigError, match="differ"):
        Settings(request_id_header="X-ID", correlation_id_header="x-id")


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (
            lambda: from_env(OBS_METRIC_PATH="/m"),
            "OBS_METRIC_PATH is not a setting: did you mean OBS_METRICS_PATH?",
        ),
        (
            lambda: Settings.load(env={}, config={"OBS_LOGLEVEL": "INFO"}),
            "OBS_LOGLEVEL is not a setting: did you mean OBS_LOG_LEVEL?",
        ),
        (
            lambda: Settings.load(env={}, metric_path="/m"),
            "metric_path is not a setting: did you mean metrics_path?",
        ),
        (
            lambda: Settings.load(env={}, zzzz=1),
            "zzzz is not a setting: see the table of settings in docs/settings.md",
        ),
        (
            lambda: Observer(Settings(), log_level="INFO"),
            "Observer takes either settings or single ones, got settings and ['log_level']",
        ),
        (
            lambda: Observer.given_or_new(Observer(registry=CollectorRegistry()), {"log_level": "INFO"}),
            "give either an observer or settings, got an observer and log_level",
        ),
    ],
)
def test_misspelt_or_misplaced_name_is_told_with_its_cure(load: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(text.removesuffix("?"))


@pytest.mark.parametrize("name", ["metrics_token", "health_token"])
def test_token_is_never_shown(name: str) -> None:
    settings = made(**{name: SECRET})
    assert getattr(settings, name) == SECRET
    assert SECRET not in repr(settings)
    assert SECRET not in f"{settings!s}"
    for bad in (f"{SECRET}\n{SECRET}", f"{SECRET} short", f"{SECRET}\t{SECRET}"):
        with pytest.raises(ConfigError) as caught:
            made(**{name: bad})
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert SECRET not in complaint(**{f"OBS_{name.upper()}": bad})


def test_short_token_is_refused_and_not_shown() -> None:
    text = complaint(OBS_METRICS_TOKEN="abc")
    assert (
        text
        == "OBS_METRICS_TOKEN must be 8 or more printable ASCII characters, got a value that is not shown"
    )


def test_token_is_not_shown_by_rich_tracebacks() -> None:
    shown = getattr(Settings(metrics_token=SECRET), "__rich_repr__", lambda: ())()
    assert SECRET not in repr(list(shown))


def test_password_of_the_collector_is_not_shown() -> None:
    settings = Settings(otlp_endpoint=f"http://user:{SECRET}@collector:4318")
    assert SECRET not in repr(settings)
    assert SECRET not in complaint(OBS_OTLP_ENDPOINT=f"grpc://user:{SECRET}@collector")


def test_repr_shows_every_other_setting() -> None:
    assert repr(Settings(service_name="shop")).startswith(
        "Settings(service_name='shop', service_version=None,"
    )
    assert "metrics_token=None" in repr(Settings())


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().log_level = "DEBUG"  # type: ignore[misc]


@pytest.mark.parametrize(("name", "level"), [("warn", "WARNING"), ("fatal", "CRITICAL"), ("trace", "DEBUG")])
def test_level_may_have_the_name_that_other_tools_give_it(name: str, level: str) -> None:
    assert from_env(LOG_LEVEL=name).log_level == level


@pytest.mark.parametrize(("number", "level"), [(10, "DEBUG"), (30, "WARNING")])
def test_level_may_be_the_number_that_logging_has(number: int, level: str) -> None:
    assert from_env(LOG_LEVEL=str(number)).log_level == level
    assert Settings.load(env={}, log_level=number).log_level == level


@pytest.mark.parametrize("renames", ["level=x,logger=x", "level=message", "level=a,level=b"])
def test_two_fields_of_a_line_have_no_one_name(renames: str) -> None:
    with pytest.raises(ConfigError, match="log_rename_fields must give each field a name of its own"):
        from_env(OBS_LOG_RENAME_FIELDS=renames)


def test_fields_of_a_line_may_change_their_names_with_each_other() -> None:
    assert from_env(OBS_LOG_RENAME_FIELDS="level=logger,logger=level").log_rename_fields


@pytest.mark.parametrize(
    ("variable", "value", "wants"),
    [
        ("OBS_EXCLUDE_PATHS", "health", "paths in which \\* stands for any text"),
        ("OBS_METRICS_ROUTE_BUCKETS", "/a=2,1", "bounds by route"),
        ("OBS_METRICS_BUCKETS", "2,1", "ascending positive seconds"),
    ],
)
def test_error_names_the_variable_from_which_the_value_comes(variable: str, value: str, wants: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable} must be {wants}.* got {value!r}"):
        from_env(**{variable: value})


@pytest.mark.parametrize("name", ["http_metrics", "runtime_metrics", "django_metrics"])
def test_metrics_may_all_be_left_out_by_one_word(name: str) -> None:
    assert getattr(from_env(**{f"OBS_{name.upper()}": "none"}), name) == ("none",)
    keyword: dict[str, Any] = {name: "none"}
    assert getattr(Settings.load(env={}, **keyword), name) == ("none",)
