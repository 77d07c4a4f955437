"""Where the results of a whole run go: `results/` and the README."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.apps import FRAMEWORKS
from benchmarks.chart import Group, svg
from benchmarks.report import main_table, whole
from benchmarks.results import Results, added, cheapest, value
from benchmarks.workers import ROOT

FOLDER = ROOT / "benchmarks" / "results"
_BEGIN, _END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
_SERIES = ("request ID alone", "cheapest metrics alone", "assembled stack, 10 %", "ours, all on, 10 %")


def write(results: Results, *, folder: Path = FOLDER, readme: Path = ROOT / "README.md") -> None:
    """Write Markdown, JSON and chart, and renew the README's block."""
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "results.md").write_text(whole(results), encoding="utf-8")
    (folder / "chart.svg").write_text(chart(results), encoding="utf-8")
    readme.write_text(in_readme(readme.read_text(encoding="utf-8"), results), encoding="utf-8")


def chart(results: Results) -> str:
    """Return the chart: what each framework's request is charged by whom."""
    groups = [
        Group(
            label,
            [
                added(results, name, "request-id"),
                cheapest(results, name),
                added(results, name, "assembled-10"),
                added(results, name, "ours-10"),
            ],
        )
        for name, label in FRAMEWORKS.items()
    ]
    shown = [group for group in groups if any(group.values)]
    return svg("CPU time that observing adds to a request", _SERIES, shown, unit="µs")


def in_readme(text: str, results: Results) -> str:
    """Return the README with the block between its marks renewed.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the README must have the marks {_BEGIN} and {_END}")
    return f"{before}{_BEGIN}\n{_block(results)}\n{_END}{after}"


def _block(results: Results) -> str:
    machine = results["machine"]
    where = f"{machine['cores']} cores, {machine['python']}"
    picture = "![CPU time that observing adds to a request](benchmarks/results/chart.svg)"
    parts = [picture, main_table(results), _served(results), f"Measured on {where}."]
    return "\n\n".join(part for part in parts if part)


def _served(results: Results) -> str:
    """Return a sentence on throughput."""

    def share(variant: str, has_access_log: bool = False) -> str:
        where = {"framework": "fastapi", "has_access_log": has_access_log}
        found = value(results, "server", "to_bare", variant=variant, **where)
        return "–" if found is None else f"{found['rps']:.0%}".replace("%", " %")

    if not results.get("server"):
        return ""
    return (
        f"Behind uvicorn, of the requests per second of a bare FastAPI app without any log: with uvicorn's access log "
        f"{share('bare', True)}, with the assembled stack {share('assembled-10')}, with ours {share('ours-10')}."
    )
