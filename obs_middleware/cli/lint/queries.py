"""The queries of files: panels, variables and annotations of Grafana's dashboards, and rules of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from obs_middleware.errors import ConfigError

_OTHER_LANGUAGES = (
    "loki",
    "tempo",
    "jaeger",
    "elasticsearch",
    "alertmanager",
    "grafana",
    "-- Grafana --",
    "text",
)
_IN_VARIABLE = re.compile(r"^\s*(label_values|query_result|metrics|label_names)\s*\((.*)\)\s*$", re.DOTALL)


class Query(NamedTuple):
    """A query, and where it stands: the title of a panel, or the name of a rule."""

    file: Path
    place: str
    text: str


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files that are meant; of folders all that may be dashboards or rules.

    Raises:
        ConfigError: a path is not there, or a folder has no such file.
    """
    found = list[Path]()
    for path in paths:
        if path.is_dir():
            inside = sorted(
                one for one in path.rglob("*") if one.suffix in (".json", ".yaml", ".yml") and one.is_file()
            )
            if not inside:
                raise ConfigError(f"{path} has no file .json, .yaml or .yml")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigError(
                f"{path} is not there: give dashboards (.json), rules (.yaml) or folders of them"
            )
    return found


def read(path: Path) -> list[Any]:
    """Return the documents of a file.

    Raises:
        ConfigError: it is neither JSON nor YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(text)] if path.suffix == ".json" else list(_yaml().safe_load_all(text))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    except Exception as error:  # of PyYAML, whose class is known only where it is installed
        raise (
            error if isinstance(error, ConfigError) else ConfigError(f"{path} is no YAML: {error}")
        ) from None


def queries(path: Path, document: Any) -> Iterator[Query]:
    """Yield the queries of a document; one that is neither a dashboard nor rules has none."""
    if not isinstance(document, dict):
        return
    inner = document.get("dashboard")
    dashboard = inner if isinstance(inner, dict) else document  # as Grafana's API has it
    spec = document.get("spec")
    rules = spec if isinstance(spec, dict) else document  # PrometheusRule of the operator
    if isinstance(dashboard.get("panels"), list):
        yield from _of_dashboard(path, dashboard)
    elif isinstance(rules.get("groups"), list):
        for place, rule in _rules(rules):
            yield Query(path, place, str(rule.get("expr", "")))


def recorded(document: Any) -> Iterator[str]:
    """Yield the names of metrics that rules record."""
    if isinstance(document, dict):
        spec = document.get("spec")
        for _, rule in _rules(spec if isinstance(spec, dict) else document):
            if isinstance(rule.get("record"), str):
                yield rule["record"]


def _rules(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in _dicts(document.get("groups")):
        for rule in _dicts(group.get("rules")):
            yield str(rule.get("alert") or rule.get("record") or group.get("name")), rule


def _of_dashboard(path: Path, dashboard: dict[str, Any]) -> Iterator[Query]:
    for panel in _panels(dashboard["panels"]):
        for target in _dicts(panel.get("targets")):
            text = target.get("expr")
            if text and not _is_other(target.get("datasource") or panel.get("datasource")):
                yield Query(path, str(panel.get("title") or f"panel {panel.get('id')}"), str(text))
    for annotation in _listed(dashboard.get("annotations")):
        if annotation.get("expr") and not _is_other(annotation.get("datasource")):
            yield Query(path, f"annotation {annotation.get('name')}", str(annotation["expr"]))
    for variable in _listed(dashboard.get("templating")):
        text = _of_variable(variable)
        if text and not _is_other(variable.get("datasource")):
            yield Query(path, f"variable {variable.get('name')}", text)


def _panels(panels: Any) -> Iterator[dict[str, Any]]:
    for panel in _dicts(panels):
        yield panel
        yield from _dicts(panel.get("panels"))  # of a row that is folded: rows are in no row


def _listed(content: Any) -> Iterator[dict[str, Any]]:
    return _dicts(content.get("list")) if isinstance(content, dict) else iter(())


def _dicts(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; what people write in their place is left out."""
    return (one for one in content if isinstance(one, dict)) if isinstance(content, list) else iter(())


def _of_variable(variable: dict[str, Any]) -> str:
    """Return the query in `label_values(query, label)` and `query_result(query)`."""
    if variable.get("type") != "query":
        return ""
    query = variable.get("query")
    text = query.get("query", "") if isinstance(query, dict) else query
    found = _IN_VARIABLE.match(str(text or ""))
    if found is None or found[1] in ("metrics", "label_names"):
        return ""
    if found[1] == "query_result":
        return found[2].strip()
    selected, comma, label = found[2].rpartition(",")
    return f"count by ({label.strip()}) ({selected.strip()})" if comma else ""


def _is_other(datasource: Any) -> bool:
    """Tell whether a query is in another language than Prometheus'."""
    kind = datasource.get("type") if isinstance(datasource, dict) else datasource
    return kind in _OTHER_LANGUAGES


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError:
        raise ConfigError("lint reads rules with PyYAML: pip install pyyaml") from None
