"""The alert rules: valid, whole, each shown to fire and to be silent, each with its runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.stack import alert_table
from monitoring.stack.alert_table import CALM, TESTS
from monitoring.stack.configs import RULES
from tests import programs
from tests.installed import ROOT

promql_parser: Any = pytest.importorskip("promql_parser", reason="promql-parser does not load in Python 3.15")
PROMTOOL, AMTOOL = programs.find("promtool"), programs.find("amtool")
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
QUERY = re.compile(r"```promql\n(.*?)\n```", re.DOTALL)
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here (scripts/fetch-debian-testing)"
)


def alerts() -> list[dict[str, Any]]:
    return alert_table.alerts()


def names() -> set[str]:
    return {one["alert"] for one in alerts()}


@needs_promtool
def test_the_rules_are_valid() -> None:
    run(PROMTOOL, "check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yaml")))


@needs_promtool
@pytest.mark.timeout(400)  # days of samples, on a machine that is busy
@pytest.mark.parametrize("path", sorted(TESTS.glob("*.yaml")), ids=lambda path: path.name)
def test_each_alert_fires_when_it_should_and_at_no_other_time(path: Path) -> None:
    run(PROMTOOL, "test", "rules", path)  # a second or two: hours and days of samples


def test_each_alert_and_each_window_has_a_test_that_fires_it() -> None:
    fired = {(row.alert, row.window) for row in alert_table.rows() if row.fires}
    assert fired == {(one["alert"], one["labels"].get("window", "")) for one in alerts()}


def test_each_alert_is_silent_on_the_calm_day() -> None:
    first = yaml.safe_load(CALM.read_text(encoding="utf-8"))["tests"][0]
    assert {one["alertname"] for one in first["alert_rule_test"]} == names()
    assert all(one["exp_alerts"] == [] for one in first["alert_rule_test"])


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: one["alert"] + one["labels"].get("window", ""))
def test_an_alert_says_how_bad_it_is_whose_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["for"]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert {"team", "service"} <= set(alert["labels"])
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$value" in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"].endswith(f"/runbooks/{alert['alert']}.md")


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert {page.stem for page in PAGES} == names()
    listed = re.findall(r"\| \[(\w+)\]\(\1\.md\) \|", (RUNBOOKS / "README.md").read_text(encoding="utf-8"))
    assert set(listed) == names()
    assert len(listed) == len(names())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_its_four_parts_and_queries_that_parse(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert parts == ["What it means", "What to look at", "What to do", "Silence"]
    assert f"alertname={page.stem} " in text
    queries = QUERY.findall(text)
    assert queries
    for query in queries:
        promql_parser.parse(query)


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=lambda page: page.stem)
def test_the_links_of_a_runbook_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_table_in_the_docs_is_fresh() -> None:
    assert alert_table.table() in (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8"), (
        "make alert-table"
    )


def run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
