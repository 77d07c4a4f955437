"""Ask Prometheus every query of every panel, as Grafana would: which give data, and which do not.

python -m tests.example_apps.panel_data     runs the services, prints the table, writes it into docs/monitoring.md
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests import dashboards, scrapers
from tests.dashboards import FILES, Content, Query
from tests.example_apps.observed import observed
from tests.installed import ROOT
from tests.running import Server

PAGE = ROOT / "docs" / "monitoring.md"
BEGIN, END = "<!-- dashboards:begin -->\n", "<!-- dashboards:end -->"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one query of a panel; `problem` is empty where it gives data."""

    query: Query
    asked: str
    problem: str


def answers(prometheus: Server, content: Content) -> list[Answer]:
    values, moment = chosen(prometheus, content), when_all_were_up(prometheus)
    asked = [
        (query, dashboards.with_values(query.expression, values)) for query in dashboards.queries(content)
    ]
    return [Answer(query, text, problem_of(prometheus, query, text, moment)) for query, text in asked]


def when_all_were_up(prometheus: Server) -> float:
    """Return the newest such moment: the series of a target are gone while a scrape of it fails on a busy machine."""
    now = time.time()
    up = {"query": "min(up)", "start": now - 600, "end": now, "step": 1}
    (found,) = scrapers.ask(prometheus, "query_range", **up)["result"]
    return max(float(moment) for moment, value in found["values"] if value == "1")


def chosen(prometheus: Server, content: Content) -> dict[str, str]:
    """Choose values as Grafana does when a dashboard is opened: what is current, all, or the first one."""
    values: dict[str, str] = {}
    for variable in dashboards.variables(content):
        values[variable["name"]] = _value(prometheus, variable, values)
    return values


def offered(prometheus: Server, variable: Content, values: dict[str, str]) -> list[str]:
    """Ask for the values that a query variable offers."""
    series, label = dashboards.label_values(variable)
    found: list[str] = scrapers.ask(
        prometheus, f"label/{label}/values", **{"match[]": dashboards.with_values(series, values)}
    )
    pattern = re.compile((variable.get("regex") or ".*").strip("/"))
    return [value for value in found if pattern.search(value)]


def _value(prometheus: Server, variable: Content, values: dict[str, str]) -> str:
    current = variable.get("current", {}).get("value", "")
    if variable["type"] != "query":
        return str(current or variable["query"])
    options = offered(prometheus, variable, values)
    if current == ["$__all"]:
        return str(variable.get("allValue") or "|".join(map(re.escape, options)))
    return current if current in options else next(iter(options), "")


def problem_of(prometheus: Server, query: Query, asked: str, moment: float) -> str:
    """Say what is missing: any number at all, a series that is asked for, or exemplars.

    Every selector must find something, because `or vector(0)` gives data whatever stands before it.
    """
    found = _ask(prometheus, asked, moment)
    if isinstance(found, str):
        return found
    absent = [one for one in dashboards.selectors(asked) if not _ask(prometheus, f"count({one})", moment)]
    if absent:
        return f"no series: {', '.join(absent)}"
    if not any(math.isfinite(value) for value in found):
        return f"no number: {found[:3]}"
    if query.has_exemplars and not _exemplars(prometheus, asked):
        return "no exemplars"
    return ""


def _ask(prometheus: Server, asked: str, moment: float) -> list[float] | str:
    """Return the values that a query gives, or why it gives none."""
    answer = json.loads(prometheus.get(f"/api/v1/query?{urlencode({'query': asked, 'time': moment})}").body)
    if answer["status"] != "success":
        return f"{answer['errorType']}: {answer['error']}"
    data = answer["data"]
    series: list[Any] = data["result"] if data["resultType"] == "vector" else [{"value": data["result"]}]
    return [float(one["value"][1]) for one in series]


def _exemplars(prometheus: Server, asked: str) -> list[Any]:
    now = time.time()
    found: list[Any] = scrapers.ask(
        prometheus, "query_exemplars", query=asked, start=now - 3600, end=now + 60
    )
    return found


def table(found: dict[Path, list[Answer]]) -> str:
    """Write dashboard x panels x queries with data."""
    lines = ["| dashboard | panels | queries | with data |", "|---|---|---|---|"]
    for path, answered in found.items():
        panels = len(dashboards.panels(dashboards.read(path)))
        with_data = sum(not answer.problem for answer in answered)
        lines.append(
            f"| [{path.stem}](../{path.relative_to(ROOT)}) | {panels} | {len(answered)} | {with_data} |"
        )
    return "\n".join(lines) + "\n"


def write(made: str) -> None:
    """Write the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{made}{END}{rest.partition(END)[2]}", encoding="utf-8")


def problems(found: dict[Path, list[Answer]]) -> Iterator[str]:
    for path, answered in found.items():
        for answer in answered:
            if answer.problem:
                yield f"{path.stem}: {answer.query.panel}: {answer.problem}\n    {answer.asked}"


def main(arguments: Sequence[str]) -> int:
    if scrapers.PROMETHEUS is None:
        print("no prometheus here. The cure: scripts/fetch-debian-testing", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="obs-dashboards-") as folder,
        observed(Path(folder)) as prometheus,
    ):
        found = {path: answers(prometheus, dashboards.read(path)) for path in FILES}
    wrong = list(problems(found))
    print(table(found), *wrong, sep="\n")
    if not arguments:
        write(table(found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
