"""The rendered dashboards as tests read them: their panels, their queries, and what a query asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.installed import ROOT

promql_parser: Any = pytest.importorskip("promql_parser", reason="promql-parser does not load in Python 3.15")

FILES = sorted(
    [
        *(ROOT / "obs_middleware" / "cli" / "dashboards").glob("*.json"),
        *(ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"),
    ]
)
# What Grafana itself replaces. Ours is as long as a test may take on a busy machine, so that all traffic is within it.
BUILT_IN = {"__rate_interval": "30m", "__range": "1h", "__interval": "15s"}

Content = dict[str, Any]


class Query(NamedTuple):
    """One query of a panel."""

    panel: str
    expression: str
    has_exemplars: bool


def read(path: Path) -> Content:
    content: Content = json.loads(path.read_text(encoding="utf-8"))
    return content


def panels(content: Content) -> list[Content]:
    """Return the panels that show something: all but the headings of rows."""
    return [panel for panel in content["panels"] if panel["type"] != "row"]


def variables(content: Content) -> list[Content]:
    found: list[Content] = content["templating"]["list"]
    return found


def queries(content: Content) -> list[Query]:
    return [
        Query(panel["title"], target["expr"], target.get("exemplar", False))
        for panel in panels(content)
        for target in panel["targets"]
    ]


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Replace variables as Grafana does; one that has no value is an error."""
    known = BUILT_IN | dict(values)
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: known[found[1] or found[2]], text)


def fixed_values(content: Content) -> dict[str, str]:
    """Return the values of the variables that need no Prometheus: any text that a query parses with."""
    return {one["name"]: _fixed_value(one) for one in variables(content)}


def _fixed_value(variable: Content) -> str:
    if variable["type"] == "custom":
        return str(variable["current"]["value"])
    return str(variable.get("allValue") or "any")


def parsed(expression: str) -> Any:
    """Parse PromQL; raises ValueError."""
    return promql_parser.parse(expression)


def selectors(expression: str) -> list[str]:
    """Return the series that a query asks for, each as a query of its own."""
    found: list[str] = []

    def note(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node.prettify())

    promql_parser.walk(parsed(expression), note)
    return list(dict.fromkeys(found))


def label_values(variable: Content) -> tuple[str, str]:
    """Take a variable's `label_values(series, label)` apart."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert found is not None, variable["query"]
    return found[1], found[2]


def links(content: Content) -> Iterator[str]:
    """Give the address of every link."""
    for one in (content, *panels(content)):
        yield from (link["url"] for link in one.get("links", []) if link["type"] == "link")
