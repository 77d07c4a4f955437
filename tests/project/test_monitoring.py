"""What watches the services is configured as its own programs want it, and as the services are.

What no program here can check is read as data: it must fit what the services print and serve.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from example_apps.demo.services import METRICS_TOKEN
from monitoring.stack import configs, manifests
from monitoring.stack.configs import FOLDER, RULES, Speed, load
from tests import programs
from tests.installed import ROOT

PROMTOOL, AMTOOL, COMPOSE = (programs.find(name) for name in ("promtool", "amtool", "docker-compose"))
SERVICES = ("tokpulse", "audotics", "zerostate", "utilityfog")
KUBERNETES = FOLDER / "kubernetes"
ALERTMANAGER = FOLDER / "alertmanager" / "alertmanager.yaml"


def needs(program: str | None, name: str) -> Any:
    return pytest.mark.skipif(program is None, reason=f"no {name} here (scripts/fetch-debian-testing)")


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compose() -> dict[str, Any]:
    return dict(load(FOLDER / "compose.yaml"))


# Prometheus


@needs(PROMTOOL, "promtool")
def test_prometheus_takes_its_configuration_with_the_token_where_compose_puts_it(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yaml").write_bytes((FOLDER / "prometheus/prometheus.yaml").read_bytes())
    (tmp_path / "rules").symlink_to(RULES)
    (tmp_path / "secrets").mkdir()
    mounted = compose()["services"]["prometheus"]["configs"][0]["target"]
    (tmp_path / mounted.removeprefix("/etc/prometheus/")).write_text(METRICS_TOKEN)
    assert "rule files found" in run(PROMTOOL, "check", "config", "--lint=all", tmp_path / "prometheus.yaml")


def test_each_service_is_scraped_every_15_seconds_at_its_own_page() -> None:
    config = load(FOLDER / "prometheus/prometheus.yaml")
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert config["global"]["scrape_interval"] == "15s"
    assert set(SERVICES) <= set(jobs)
    assert jobs["tokpulse"]["metrics_path"] == "/internal/metrics"
    assert all(jobs[name]["honor_labels"] and "scrape_interval" not in jobs[name] for name in SERVICES)
    known = set(compose()["services"])
    for job in jobs.values():
        for target in job["static_configs"][0]["targets"]:
            assert target.partition(":")[0] in known


def test_rules_go_faster_without_becoming_other_rules(tmp_path: Path) -> None:
    """The real proof runs changed rules: nothing but durations may differ."""
    path = configs.prometheus(tmp_path, {}, token="t", speed=Speed("1s", lambda seconds: seconds / 30))
    assert load(path)["global"]["evaluation_interval"] == "1s"
    for one in RULES.glob("*.yaml"):
        before, after = (
            one.read_text(encoding="utf-8"),
            (tmp_path / "rules" / one.name).read_text(encoding="utf-8"),
        )
        assert _without_durations(before) == _without_durations(after)


def _without_durations(text: str) -> str:
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    for rule in rules:
        rule["expr"] = re.sub(r"(\[|offset )\d+(ms|[smhd])", r"\1", rule["expr"])
        rule.pop("for", None)
        rule.pop("keep_firing_for", None)
    return json.dumps(rules)


# Alertmanager


@needs(AMTOOL, "amtool")
def test_alertmanager_takes_its_configuration() -> None:
    assert "SUCCESS" in run(AMTOOL, "check-config", ALERTMANAGER)


@needs(AMTOOL, "amtool")
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("severity=critical team=platform", "pager,team-platform"),
        ("severity=critical team=agents", "pager,team-agents"),
        ("severity=warning team=fog", "team-fog"),
        ("severity=info team=platform", "digest"),
        ("severity=warning team=nobody", "everybody"),
    ],
)
def test_an_alert_goes_to_whom_severity_and_team_say(labels: str, receivers: str) -> None:
    run(
        AMTOOL,
        "config",
        "routes",
        "test",
        f"--config.file={ALERTMANAGER}",
        f"--verify.receivers={receivers}",
        *labels.split(),
    )


# Compose


@needs(COMPOSE, "docker-compose")
def test_compose_takes_its_file_and_finds_all_that_it_names() -> None:
    path = FOLDER / "compose.yaml"
    done = json.loads(run(COMPOSE, "-f", path, "config", "--format=json"))
    assert set(SERVICES) < set(done["services"])
    sources = [
        Path(volume["source"])
        for one in done["services"].values()
        for volume in one.get("volumes", [])
        if volume["type"] == "bind" and volume["source"] != "/var/run/docker.sock"
    ]
    # The folders of dashboards are rendered by `make dashboards`.
    missing = [source for source in sources if not source.exists() and "dashboards" not in source.name]
    assert missing == []
    assert Path(done["services"]["tokpulse"]["build"]["context"]) == ROOT
    assert (ROOT / done["services"]["tokpulse"]["build"]["dockerfile"]).exists()


def test_metrics_are_kept_15_days_logs_30_traces_7() -> None:
    flags = compose()["services"]["prometheus"]["command"]
    assert "--storage.tsdb.retention.time=15d" in flags
    loki = load(FOLDER / "loki/loki.yaml")
    assert loki["limits_config"]["retention_period"] == f"{30 * 24}h"
    assert loki["compactor"]["retention_enabled"] is True
    assert loki["schema_config"]["configs"][0]["index"]["period"] == "24h"
    jaeger = load(FOLDER / "jaeger/config.yaml")
    (backend,) = jaeger["extensions"]["jaeger_storage"]["backends"].values()
    assert backend["badger"]["ttl"]["spans"] == f"{7 * 24}h"


def test_prometheus_takes_otlp_native_histograms_and_exemplars() -> None:
    flags = compose()["services"]["prometheus"]["command"]
    assert "--web.enable-otlp-receiver" in flags
    assert "--enable-feature=native-histograms,exemplar-storage" in flags


# What no program here reads


def test_jaeger_s_pipeline_names_parts_that_there_are() -> None:
    config = load(FOLDER / "jaeger/config.yaml")
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    backends = set(config["extensions"]["jaeger_storage"]["backends"])
    assert {config["extensions"]["jaeger_query"]["storage"]["traces"]} == backends
    assert {config["exporters"]["jaeger_storage_exporter"]["trace_storage"]} == backends


def test_alloy_reads_fields_that_lines_have_and_makes_labels_of_few_values() -> None:
    text = (FOLDER / "alloy/config.alloy").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    stages = {
        name: re.findall(r'^\s+(\w+)\s+= "(\w+)",$', body, re.MULTILINE)
        for name, body in re.findall(r"stage\.(\w+) \{\n\s+\w+ = \{\n(.*?)\n\s+\}\n", text, re.DOTALL)
    }
    line = json.loads(_readme_line())
    extracted = {field for _, field in stages["json"]}
    assert extracted <= set(line)
    assert {name for name, _ in stages["labels"]} == {"level", "environment"}
    metadata = {name for name, _ in stages["structured_metadata"]}
    assert {"trace_id", "span_id", "request_id"} <= metadata <= extracted
    assert set(re.findall(r'source\s+= "(\w+)"', text)) <= extracted
    # What one component hands to another is declared.
    declared = {f"{kind}.{name}" for kind, name in re.findall(r'^([\w.]+) "(\w+)" \{', text, re.MULTILINE)}
    used = set(re.findall(r"\b((?:loki|discovery)\.\w+(?:\.\w+)?)\.(?:receiver|output|targets)\b", text))
    assert used <= declared


def _readme_line() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if line.startswith('{"timestamp"'))


def test_grafana_s_sources_lead_to_one_another() -> None:
    sources = load(FOLDER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    by_uid = {one["uid"]: one for one in sources}
    links = {
        (uid, target)
        for uid, one in by_uid.items()
        for target in re.findall(r"'datasourceUid': '(\w+)'", str(one["jsonData"]))
    }
    assert {("prometheus", "jaeger"), ("loki", "jaeger"), ("loki", "prometheus")} <= links
    assert {("jaeger", "loki"), ("jaeger", "prometheus")} <= links
    assert {target for _, target in links} <= set(by_uid)
    hosts = {one["url"].partition("://")[2].partition(":")[0] for one in sources}
    assert hosts <= set(compose()["services"])


def test_grafana_finds_both_folders_of_dashboards() -> None:
    providers = load(FOLDER / "grafana/provisioning/dashboards/dashboards.yaml")["providers"]
    mounted = {volume.split(":")[1] for volume in compose()["services"]["grafana"]["volumes"]}
    assert {one["options"]["path"] for one in providers} <= mounted


# Kubernetes


@pytest.mark.parametrize("name", [f"{service}.yaml" for service in SERVICES] + ["rules.yaml"])
def test_manifests_are_fresh(name: str) -> None:
    assert (KUBERNETES / name).read_text(encoding="utf-8") == manifests.rendered()[name], "make manifests"


@pytest.mark.parametrize("service", SERVICES)
def test_manifests_are_valid(service: str) -> None:
    documents = list(yaml.safe_load_all((KUBERNETES / f"{service}.yaml").read_text(encoding="utf-8")))
    kinds = [one["kind"] for one in documents]
    assert kinds == [
        "Service",
        "Deployment",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "ServiceMonitor",
    ]
    for document in documents[:-1]:  # the last is the operator's own kind
        validate(document, latest_version(), strict=True)
    (monitor,) = documents[-1:]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= documents[0]["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == documents[0]["spec"]["ports"][0]["name"]
    assert "shop" not in str(documents)


@needs(PROMTOOL, "promtool")
def test_the_rules_in_the_manifest_are_valid(tmp_path: Path) -> None:
    manifest = load(KUBERNETES / "rules.yaml")
    assert manifest["kind"] == "PrometheusRule"
    path = configs.save(tmp_path / "rules.yaml", manifest["spec"])
    run(PROMTOOL, "check", "rules", path)


def test_kustomize_names_each_manifest_and_the_secret_that_they_want() -> None:
    config = load(KUBERNETES / "kustomization.yaml")
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(config["resources"]) == files
    secrets = {
        one["name"]: {literal.partition("=")[0] for literal in one["literals"]}
        for one in config["secretGenerator"]
    }
    for name, key in manifests.FROM_SECRET.values():
        assert key in secrets[name]


def test_the_alert_of_memory_has_the_limit_of_the_container() -> None:
    limit = yaml.safe_load_all((KUBERNETES / "zerostate.yaml").read_text(encoding="utf-8"))
    deployment = next(one for one in limit if one["kind"] == "Deployment")
    memory = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    rules = (RULES / "zerostate.yaml").read_text(encoding="utf-8")
    assert memory == "512Mi"
    assert "0.9 * 512 * 1024 * 1024" in rules
