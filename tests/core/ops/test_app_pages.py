"""The app's own pages at paths of ours: ours are answered in their place, and one line at the start says so."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Observer
from tests.core.support import internal_errors, observer


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def has(*paths: str) -> Callable[[str], bool]:
    return lambda path: path in paths


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["/metrics"], ["for /metrics,", "metrics_path", "OBS_METRICS_PATH="]),
        (["/metrics/"], ["for /metrics,", "metrics_path"]),
        (
            ["/metrics", "/health/live", "/health/ready"],
            ["/metrics, /health/live and /health/ready", "ready_path", "OBS_LIVE_PATH="],
        ),
    ],
)
def test_one_line_names_the_apps_own_pages_and_our_settings(
    paths: list[str], words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = observer().gateway
    gateway.look_for_pages(has(*paths))
    for _ in range(2):
        gateway.started()
    (line,) = warnings(caplog)
    assert [word for word in words if word not in line] == []


def test_nothing_is_said_of_other_pages_and_of_those_that_are_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for own, path in ((observer(), "/"), (observer(metrics_path=None), "/metrics")):
        own.gateway.look_for_pages(has(path))
        own.gateway.started()
    assert warnings(caplog) == []


def test_routes_that_cannot_be_read_are_a_failure_of_ours_alone(caplog: pytest.LogCaptureFixture) -> None:
    own = observer()
    own.gateway.look_for_pages(lambda path: bool(1 / 0))
    own.gateway.look_for_pages(has("/metrics"))
    own.gateway.started()
    assert len(warnings(caplog)) == 1
    assert internal_errors(own, "routes")


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_one_line_tells_that_the_page_is_of_one_process_where_another_is_of_all(
    variable: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    monkeypatch.setenv(variable, "/tmp/shared")
    gateway = Observer().gateway
    for _ in range(2):
        gateway.look_for_pages(has())
        gateway.started()
    (line,) = warnings(caplog)
    assert variable in line
    assert "OBS_METRICS_PATH=" in line


def test_nothing_is_said_of_processes_with_a_registry_of_ones_own_or_without_a_page(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/tmp/shared")
    for own in (observer(), observer(metrics_path=None)):
        own.gateway.look_for_pages(has())
        own.gateway.started()
    assert warnings(caplog) == []
