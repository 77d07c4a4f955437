"""Which alert is shown to fire where, and where it is silent: a table of the rules, their tests, and the real proof.

python -m monitoring.stack.alert_table     writes it into docs/monitoring.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from monitoring.stack.configs import FOLDER, RULES, load

TESTS = FOLDER / "prometheus" / "tests"
CALM = TESTS / "calm.yaml"
PAGE = FOLDER.parent / "docs" / "monitoring.md"
BEGIN, END = "<!-- alerts:begin, made by `make alert-table` -->", "<!-- alerts:end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One alert, of one window where it has several.

    Attributes:
        fires: the file of the promtool test in which it fires; empty where none does.
        silent: how many tests hold it silent.
        is_notified: real Alertmanager has sent it on in tests/real/test_alerts.py.
    """

    alert: str
    window: str
    severity: str
    waits: str
    fires: str
    silent: int
    is_notified: bool


def alerts() -> list[dict[str, Any]]:
    """Return all alert rules, file by file."""
    groups = [group for path in sorted(RULES.glob("*.yaml")) for group in load(path)["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def rows() -> list[Row]:
    """Return a row for each alert rule."""
    fired, silent = _tested()
    notified = _notified()
    return [
        Row(
            name := one["alert"],
            window := one["labels"].get("window", ""),
            one["labels"]["severity"],
            one["for"],
            fired.get((name, window), ""),
            silent.get(name, 0),
            name in notified and window in ("", "1h"),  # the slow windows are held back by the fast one
        )
        for one in alerts()
    ]


def table() -> str:
    """Return the rows as Markdown, between two marks."""
    lines = [
        f"| [{row.alert}](runbooks/{row.alert}.md){f' over {row.window}' if row.window else ''} | {row.severity}"
        f" | {row.waits} | {row.fires} | {row.silent} | {'yes' if row.is_notified else ''} |"
        for row in rows()
    ]
    head = (
        "| alert | severity | for | fires in (promtool) | silent in tests | through the real Alertmanager |"
    )
    return "\n".join([BEGIN, head, "|---|---|---|---|--:|---|", *lines, END])


def _tested() -> tuple[dict[tuple[str, str], str], dict[str, int]]:
    fired: dict[tuple[str, str], str] = {}
    silent: dict[str, int] = {}
    for path in sorted(TESTS.glob("*.yaml")):
        for one in (one for test in load(path)["tests"] for one in test["alert_rule_test"]):
            for alert in one["exp_alerts"]:
                fired.setdefault((one["alertname"], alert["exp_labels"].get("window", "")), path.name)
            if not one["exp_alerts"]:
                silent[one["alertname"]] = silent.get(one["alertname"], 0) + 1
    return fired, silent


def _notified() -> set[str]:
    text = (FOLDER.parent / "tests" / "real" / "test_alerts.py").read_text(encoding="utf-8")
    found = re.search(r"^NOTIFIED = \{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r'\("(\w+)", ', found[1])) if found else set()


def main() -> None:
    """Write the table."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + table() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
