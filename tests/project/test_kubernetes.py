"""The manifests in docs/kubernetes are as Kubernetes wants them, and as the app is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from obs_middleware import Settings
from obs_middleware.deadline import STOP_SECONDS
from tests.core.support import observer, request, serve
from tests.installed import ROOT

FOLDER = ROOT / "docs" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
pytestmark = pytest.mark.once


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def container(name: str) -> tuple[Any, Any]:
    (deployment,) = (one for one in documents(FOLDER / name) if one["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_manifests_are_valid(path: Path) -> None:
    for document in documents(path):
        validate(document, latest_version(), strict=True)


@pytest.mark.parametrize("name", ["app.yaml", "prestop.yaml"])
def test_probes_ask_the_paths_that_are_ours_at_the_port_that_serves(name: str) -> None:
    _, found = container(name)
    settings = Settings.load(env={one["name"]: one.get("value", "a-secret-token") for one in found["env"]})
    asked = {
        probe: found[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {
        "startupProbe": settings.startup_path,
        "livenessProbe": settings.live_path,
        "readinessProbe": settings.ready_path,
    }
    assert {found[probe]["httpGet"]["port"] for probe in asked} == {found["ports"][0]["name"]}
    assert any(str(found["ports"][0]["containerPort"]) in word for word in found["command"])
    assert settings.drain_seconds == 5


@pytest.mark.parametrize("name", ["app.yaml", "prestop.yaml"])
def test_the_grace_period_has_room_for_drain_server_and_flush(name: str) -> None:
    pod, found = container(name)
    drain = float(next(one["value"] for one in found["env"] if one["name"] == "OBS_DRAIN_SECONDS"))
    server = next(
        float(word.rpartition("=")[2])
        for word in reversed(found["command"])
        if word.rpartition("=")[2].isdecimal()
    )
    assert drain + server + STOP_SECONDS < pod["terminationGracePeriodSeconds"]


def test_the_pre_stop_hook_is_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = container("prestop.yaml")
    *_, code = found["lifecycle"]["preStop"]["exec"]["command"]
    compile(code, "preStop", "exec")
    assert str(Settings.load(env={}, health_token="a-secret-token").drain_path) in code


def test_the_autoscaler_reads_metrics_that_there_are() -> None:
    scaler, rules = documents(FOLDER / "autoscaling.yaml")
    own = observer()
    serve(own)
    text = own.gateway.reply(request(path="/metrics"), "/metrics").body.decode()
    for rule in yaml.safe_load(rules["data"]["config.yaml"])["rules"]:
        assert f"{rule['seriesQuery'].partition('{')[0]}{{" in text
    wanted = {one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"]}
    assert wanted == {"http_server_active_requests", "http_server_requests_per_second"}
