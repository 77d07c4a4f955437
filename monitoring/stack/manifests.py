"""Write monitoring/kubernetes: each service as docs/kubernetes has it and compose.yaml runs it, and the alert rules.

    python -m monitoring.stack.manifests

`kubectl apply -k monitoring/kubernetes` wants the Prometheus operator: ServiceMonitor and PrometheusRule are its kinds.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from monitoring.stack.configs import FOLDER, RULES, load

OUT = FOLDER / "kubernetes"
DOCS = FOLDER.parent / "docs" / "kubernetes"
IMAGE = "registry.example/obs-example-services:1.0.0"
SERVICES = ("tokpulse", "audotics", "zerostate", "utilityfog")
FROM_SECRET = {"TOKPULSE_METRICS_TOKEN": ("tokpulse-metrics", "token")}
HEADER = "# Made by `make manifests` of docs/kubernetes, ../compose.yaml and ../prometheus: change those.\n"


def rendered() -> dict[str, str]:
    """Return the text of each file that is made here."""
    compose = load(FOLDER / "compose.yaml")["services"]
    scrapes = {
        job["job_name"]: job for job in load(FOLDER / "prometheus" / "prometheus.yaml")["scrape_configs"]
    }
    files = {f"{name}.yaml": _service(name, compose[name], scrapes[name]) for name in SERVICES}
    return {name: HEADER + _text(documents) for name, documents in (files | {"rules.yaml": _rules()}).items()}


def _service(name: str, compose: dict[str, Any], scrape: dict[str, Any]) -> list[Any]:
    service, deployment, budget = (_renamed(one, name) for one in _documents(DOCS / "app.yaml"))
    scaler = _renamed(_documents(DOCS / "autoscaling.yaml")[0], name)
    _fill(deployment["spec"]["template"], compose)
    deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"] = scrape.get(
        "metrics_path", "/metrics"
    )
    return [service, deployment, budget, scaler, _monitor(name, scrape)]


def _fill(template: dict[str, Any], compose: dict[str, Any]) -> None:
    """Run what compose runs: the same command, the same variables, files that a read-only image lacks."""
    container = template["spec"]["containers"][0]
    known = {one["name"]: one for one in container["env"]}
    variables = {
        key: _variable(key, str(value)) for key, value in compose["environment"].items() if key not in known
    }
    container |= {
        "image": IMAGE,
        "command": compose["command"],
        "env": [*container["env"], *variables.values()],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    template["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    template["spec"]["securityContext"] = {"runAsUser": 1000, "fsGroup": 1000}


def _variable(name: str, value: str) -> dict[str, Any]:
    if name in FROM_SECRET:
        secret, key = FROM_SECRET[name]
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
    if value.startswith("${"):  # a variable of compose, with its default
        value = "production" if name.endswith("ENVIRONMENT") else value[2:-1].partition(":-")[2]
    return {"name": name, "value": value.removesuffix(":8000")}  # the Service listens at port 80


def _monitor(name: str, scrape: dict[str, Any]) -> dict[str, Any]:
    endpoint = {
        "port": "http",
        "path": scrape.get("metrics_path", "/metrics"),
        "interval": "15s",
        "honorLabels": True,
    }
    if "authorization" in scrape:
        secret, key = FROM_SECRET["TOKPULSE_METRICS_TOKEN"]
        endpoint["authorization"] = {"credentials": {"name": secret, "key": key}}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "endpoints": [endpoint],
        },
    }


def _rules() -> list[Any]:
    groups = [group for path in sorted(RULES.glob("*.yaml")) for group in load(path)["groups"]]
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "obs-middleware", "labels": {"app.kubernetes.io/part-of": "obs-middleware"}},
            "spec": {"groups": groups},
        }
    ]


def _documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _renamed(value: Any, name: str) -> Any:
    """Return a copy in which every `shop`, the service of docs/kubernetes, has another name."""
    if isinstance(value, dict):
        return {key: _renamed(part, name) for key, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, name) for part in value]
    return name if value == "shop" else copy.copy(value)


def _text(documents: list[Any]) -> str:
    return str(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=110))


def main() -> None:
    """Write the files."""
    for name, text in rendered().items():
        (OUT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
