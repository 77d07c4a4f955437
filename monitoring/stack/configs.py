"""The checked-in configurations as they are for programs on this machine: the same, at other addresses and speeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1]
RULES = FOLDER / "prometheus" / "rules"
TOKEN_FILE = "secrets/tokpulse-metrics-token"

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\b(\d+)(ms|[smhd])\b")


@dataclass(frozen=True, slots=True)
class Speed:
    """How much faster than in production time is to go.

    Attributes:
        scrape: how often targets are scraped and rules evaluated.
        durations: makes the `for` of an alert, or the window of an expression, another one; in seconds.
    """

    scrape: str = "15s"
    durations: Callable[[float], float] = field(default=lambda seconds: seconds)


def prometheus(folder: Path, addresses: Mapping[str, str], *, token: str, speed: Speed | None = None) -> Path:
    """Write Prometheus' configuration and rules into a folder and return the path of the first.

    Args:
        addresses: of each host that the configuration names, such as `{"tokpulse": "127.0.0.1:8100"}`. Jobs and
            Alertmanagers at other hosts are left out.
    """
    speed = speed or Speed()
    config = load(FOLDER / "prometheus" / "prometheus.yaml")
    config["global"] |= {
        "scrape_interval": speed.scrape,
        "scrape_timeout": speed.scrape if speed.scrape != "15s" else "10s",
        "evaluation_interval": speed.scrape,
    }
    jobs = (_at(job, addresses) for job in config["scrape_configs"])
    config["scrape_configs"] = [job for job in jobs if job["static_configs"]]
    config["alerting"]["alertmanagers"] = [_at(one, addresses) for one in config["alerting"]["alertmanagers"]]
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for path in RULES.glob("*.yaml"):
        save(folder / "rules" / path.name, _faster(load(path), speed.durations))
    (folder / TOKEN_FILE).parent.mkdir(exist_ok=True)
    (folder / TOKEN_FILE).write_text(token)
    return save(folder / "prometheus.yaml", config)


def alertmanager(folder: Path, receiver: str, *, waits: Mapping[str, str] | None = None) -> Path:
    """Write Alertmanager's configuration with its webhooks at another address, and all its waits as given."""
    config = load(FOLDER / "alertmanager" / "alertmanager.yaml")
    for one in config["receivers"]:
        for webhook in one["webhook_configs"]:
            webhook["url"] = webhook["url"].replace("alert-receiver:9099", receiver)
    for route in (config["route"], *config["route"]["routes"]):
        route.update({name: wait for name, wait in (waits or {}).items() if name in route})
    return save(folder / "alertmanager.yaml", config)


def _at(job: dict[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    hosts = [target.partition(":")[0] for part in job["static_configs"] for target in part["targets"]]
    found = [addresses[host] for host in hosts if host in addresses]
    return {**job, "static_configs": [{"targets": found}] if found else []}


def _faster(rules: dict[str, Any], durations: Callable[[float], float]) -> dict[str, Any]:
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(
            r"(\[|offset )(\d+)(ms|[smhd])",
            lambda found: found[1] + _changed(found, 2, durations),
            rule["expr"],
        )
        for name in ("for", "keep_firing_for"):
            if name in rule:
                rule[name] = _DURATION.sub(lambda found: _changed(found, 1, durations), rule[name])
    return rules


def _changed(found: re.Match[str], group: int, durations: Callable[[float], float]) -> str:
    seconds = durations(int(found[group]) * _SECONDS[found[group + 1]])
    return f"{round(seconds * 1000)}ms"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def save(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
