"""OpenTelemetry's variables: read as the SDK reads them, and a bad one is a warning and never an error."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from obs_middleware.settings import Settings, otel
from tests.core.settings.loading import DEFAULTS, from_env
from tests.core.support import observer

ENDPOINT, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL, EXPORTER = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER"
URL = "http://collector:4318"


@pytest.fixture(autouse=True)
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Return what was warned of, once."""
    otel._seen.clear()
    otel._waiting.clear()

    def texts() -> list[str]:
        otel.show_warnings()
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    yield texts
    otel._seen.clear()
    otel._waiting.clear()


@pytest.mark.parametrize(
    ("env", "endpoint"),
    [
        ({ENDPOINT: f" {URL} "}, URL),
        ({ENDPOINT: "HTTP://collector:4318"}, "HTTP://collector:4318"),
        ({ENDPOINT: "collector:4317", PROTOCOL: "grpc"}, "http://collector:4317"),
        ({ENDPOINT: "unix:///run/otel.sock", PROTOCOL: "grpc"}, "http://unix:/run/otel.sock"),
        (
            {ENDPOINT: "dns:///collector:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
            "http://dns:/collector:4317",
        ),
        ({ENDPOINT: "collector:4317", EXPORTER: "otlp_proto_grpc"}, "http://collector:4317"),
        ({ENDPOINT: URL, EXPORTER: "otlp_proto_http"}, URL),
        ({ENDPOINT: URL, EXPORTER: "otlp_proto_http", PROTOCOL: "grpc"}, URL),
        ({ENDPOINT: URL, EXPORTER: " console , otlp "}, URL),
        ({ENDPOINT: URL, EXPORTER: "console"}, None),
        ({ENDPOINT: URL, EXPORTER: " none "}, None),
        ({ENDPOINT: URL, PROTOCOL: " grpc "}, URL),
    ],
)
def test_endpoint_is_taken_as_the_sdk_takes_it(
    env: dict[str, str], endpoint: str | None, warned: Any
) -> None:
    assert from_env(**env).otlp_endpoint == endpoint
    assert warned() == []


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {ENDPOINT: "collector:4317"},
            f"{ENDPOINT} must be a URL such as 'http://localhost:4318', got 'collector:4317'",
        ),
        ({TRACES: "collector"}, f"{TRACES} must be a URL such as 'http://localhost:4318', got 'collector'"),
        ({ENDPOINT: "http://"}, f"{ENDPOINT} must be a URL such as 'http://localhost:4318', got 'http://'"),
        (
            {ENDPOINT: "http://c:port"},
            f"{ENDPOINT} must be a URL such as 'http://localhost:4318', got 'http://c:port'",
        ),
        ({ENDPOINT: '"http://c:4318"'}, f"{ENDPOINT} must be a URL such as"),
        (
            {ENDPOINT: "tcp://me:hunter2@c:1"},
            f"{ENDPOINT} must be a URL such as 'http://localhost:4318', got 'tcp://REDACTED@c:1'",
        ),
        (
            {PROTOCOL: "gprc", ENDPOINT: "c:4317"},
            f"{PROTOCOL} must be http/protobuf or grpc, got 'gprc': it is ignored",
        ),
        ({EXPORTER: "otpl"}, f"{EXPORTER} must be names such as 'otlp,console', or 'none', got 'otpl'"),
        ({"OTEL_SDK_DISABLED": "1"}, "OTEL_SDK_DISABLED must be true or false, got '1'"),
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER must be one of always_on, always_off,"),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            "OTEL_TRACES_SAMPLER_ARG must be a number between 0 and 1, got '10%': it is 1",
        ),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=1,team"}, "OTEL_RESOURCE_ATTRIBUTES must be pairs such as"),
    ],
)
def test_bad_variable_is_warned_of_once_with_what_is_wanted(
    env: dict[str, str], message: str, warned: Any
) -> None:
    for _ in range(2):
        from_env(**env)
    found = [text for text in warned() if text.startswith(message)]
    assert len(found) == 1
    assert "hunter2" not in found[0]


def test_warnings_come_when_logging_is_set_up(warned: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.load(env={ENDPOINT: "collector:4317"}, log_setup=False)
    assert caplog.records == []
    own = observer(environment=settings.environment)
    own.gateway.set_up()
    assert ENDPOINT in caplog.text


def test_endpoint_of_the_traces_that_is_none_leaves_the_common_one() -> None:
    assert from_env(**{ENDPOINT: URL, TRACES: "collector"}).otlp_endpoint == URL


@pytest.mark.parametrize(("name", "ratio"), [("ALWAYS_ON", None), (" Parentbased_Always_On ", 1.0)])
def test_sampler_is_read_in_any_case(name: str, ratio: float | None, warned: Any) -> None:
    assert from_env(OTEL_TRACES_SAMPLER=name).trace_sample_ratio == ratio
    assert warned() == []


def test_variable_that_is_not_read_is_no_warning(warned: Any) -> None:
    """The endpoint of ours makes those of others idle; so does an exporter that is none."""
    assert from_env(OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT="collector:4317") == DEFAULTS
    assert warned() == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        ("2.5", 2.5),
        ("99", 99),
        ("100", 0.1),
        ("500", 0.5),
        ("10000", 10),
        ("60000", 60),
        (" 30 ", 30),
    ],
)
def test_timeout_is_seconds_or_milliseconds(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", text)
    assert otel.timeout_seconds() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "inf", "10s"])
def test_timeout_that_is_none_is_the_default(text: str, monkeypatch: pytest.MonkeyPatch, warned: Any) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", text)
    assert otel.timeout_seconds() is None
    assert "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT must be milliseconds" in warned()[0]


@pytest.mark.parametrize(
    ("name", "value", "seen_by_sdk"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", None),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", None),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "", ""),  # by the SDK no limit
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", " 3 ", "3"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", None),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", None),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", None),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", None),
        ("OTEL_TRACES_SAMPLER", "sometimes", None),
        ("OTEL_PYTHON_TRACER_PROVIDER", "nobodys", None),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1, team ,b=2", "a=1,b=2"),
        (ENDPOINT, "collector:4317", None),
    ],
)
def test_sdk_does_not_see_what_it_would_raise_for(
    name: str, value: str, seen_by_sdk: str | None, monkeypatch: pytest.MonkeyPatch, warned: Any
) -> None:
    monkeypatch.setenv(name, value)
    with otel.readable():
        assert os.environ.get(name) == seen_by_sdk
    assert os.environ[name] == value
    assert bool(warned()) is (seen_by_sdk is None or "team" in value)


@pytest.mark.parametrize(
    ("queue", "batch", "seen"), [("100", "", "100"), ("100", "200", "100"), ("100", "50", "50")]
)
def test_batch_is_no_larger_than_the_queue(
    queue: str, batch: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", queue)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch)
    with otel.readable():
        assert os.environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] == seen
