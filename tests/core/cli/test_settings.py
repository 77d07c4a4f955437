"""`python -m obs_middleware settings`: the value in force of each setting, where it is from, and what is misspelt."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any, ClassVar

import pytest
from starlette.applications import Starlette

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Settings, __main__
from tests.core.support import observer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("settings_shop")
    monkeypatch.setitem(sys.modules, "settings_shop", module)
    return module


def row(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return line.split()[1:]


def test_table_has_every_setting_and_its_default(capsys: Capture) -> None:
    assert __main__.main(["settings"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[1:]] == list(Settings.__struct_fields__)
    assert row(text, "metrics_path") == ["/metrics", "default"]
    assert row(text, "metrics_buckets") == ["0.005,0.025,0.1,0.25,0.5,1,2.5,10", "default"]


def test_nothing_changed_is_told(capsys: Capture) -> None:
    assert __main__.main(["settings", "--changed"]) == 0
    assert capsys.readouterr().out == "every setting has its default\n"


def test_environment_is_named_by_its_variable(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_METRICS_PATH", "/internal/metrics")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    assert __main__.main(["settings", "--changed"]) == 0
    text = capsys.readouterr().out
    assert row(text, "metrics_path") == ["/internal/metrics", "environment", "OBS_METRICS_PATH"]
    assert row(text, "service_name") == ["shop", "environment", "OTEL_SERVICE_NAME"]
    assert len(text.splitlines()) == 3


def test_secrets_are_not_shown(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_METRICS_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("OTLP_ENDPOINT", "http://me:hunter2@collector:4318")
    for arguments in ([], ["--json"]):
        assert __main__.main(["settings", *arguments]) == 0
        text = capsys.readouterr().out
        assert "hunter2" not in text
        assert "a value that is not shown" in text
        assert "://REDACTED@collector" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTLP_ENDPOINT", "http://me:hunter2/x@collector:4318"),
        ("OTLP_ENDPOINT", "http://collector:4318/v1?api_key=hunter2"),
        ("OBS_TRUSTED_PROXIES", "http://me:hunter2@proxy"),
        ("OBS_METRICS_PATH", "http://me:hunter2/x@page?token=hunter2"),
    ],
)
def test_secrets_in_urls_are_not_shown(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    __main__.main(["settings"])
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err
    assert "REDACTED" in told.out + told.err


def test_misspelt_names_and_bad_values_are_all_told(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_METRIC_PATH", "/metrics")
    monkeypatch.setenv("OBS_TRACE_SAMPLE_RATIO", "10%")
    monkeypatch.setenv("OBS_SERVER_PORT", "80")  # of somebody else
    assert __main__.main(["settings"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [
        error
        for error in errors
        if "OBS_METRIC_PATH is not a setting: did you mean OBS_METRICS_PATH" in error
    ]
    assert "error: OBS_TRACE_SAMPLE_RATIO must be a number between 0 and 1, got '10%'" in errors
    assert len(errors) == 2


def test_values_that_do_not_go_together_are_told(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBS_METRICS_PATH", "/health/live")
    assert __main__.main(["settings"]) == 1
    assert "must differ" in capsys.readouterr().err


def test_observer_of_an_app_says_what_is_in_force(
    shop: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBS_LOG_LEVEL", "DEBUG")
    shop.observer = observer(service_name="shop", log_level="DEBUG")
    assert __main__.main(["settings", "settings_shop:observer", "--changed"]) == 0
    text = capsys.readouterr().out
    assert row(text, "service_name") == ["shop", "keyword"]
    assert row(text, "log_level") == ["DEBUG", "environment", "OBS_LOG_LEVEL"]


def test_keywords_of_a_middleware_and_the_framework_are_told_apart(shop: Any, capsys: Capture) -> None:
    class App(Starlette):
        config: ClassVar[dict[str, object]] = {"OBS_METRICS_PATH": "/internal", "OTHER": 1}  # as Flask has it

    shop.app = App()
    shop.app.add_middleware(ObservabilityMiddleware, service_name="shop")
    assert __main__.main(["settings", "settings_shop:app", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["settings"]
    assert found["service_name"] == {"value": "shop", "source": "keyword", "label": "service_name"}
    assert found["metrics_path"] == {"value": "/internal", "source": "framework", "label": "OBS_METRICS_PATH"}
    assert found["live_path"]["source"] == "default"


def test_app_that_is_not_there_is_told(capsys: Capture) -> None:
    assert __main__.main(["settings", "nothing_there:app"]) == 2
    assert "nothing_there:app can't be imported" in capsys.readouterr().err
