"""The results as Markdown: everything for `results/`, the main rows for the README."""

from __future__ import annotations

from benchmarks.apps import FRAMEWORKS
from benchmarks.markdown import number, table
from benchmarks.results import Results, added, cheapest, value
from benchmarks.tables import other_tables, request_tables
from benchmarks.targets import TARGETS, Target, verdict
from benchmarks.variants import VARIANTS

_MAIN = ("no-op", "request-id", "line", "otel-10", "assembled-10", "assembled-100")
_OURS = ("ours-0", "ours-10", "ours-100", "ours-python-10")


def whole(results: Results) -> str:
    """Return the page of a run."""
    parts = [
        "# What it costs\n\nMade by `make bench`; how it is measured is told in [benchmarks/README.md](../README.md).",
        _about(results),
        "## Targets\n\n" + targets(results),
        *request_tables(results),
        *other_tables(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def targets(results: Results) -> str:
    """Return the table of what must be shown, as far as it was measured."""
    rows = [
        [
            one.text,
            *(_with_unit(one, read) for read in _both(one, results)),
            *_bounds(one),
            verdict(one, one.ours(results)),
        ]
        for one in TARGETS
        if one.ours(results) is not None
    ]
    return table(["", "assembled, or peer", "ours", "must", "want", ""], rows)


def main_table(results: Results) -> str:
    """Return what each framework's request is charged, in microseconds."""
    shown = [name for name in FRAMEWORKS if added(results, name, "ours-10") is not None]
    rows = [["*the bare app itself*", *(number(_bare(results, name)) for name in shown)]]
    rows += [_main_row(results, name, shown) for name in _MAIN]
    rows.insert(
        3, ["cheapest metrics middleware alone", *(number(cheapest(results, name)) for name in shown)]
    )
    rows += [[f"**{cell}**" for cell in _main_row(results, name, shown)] for name in _OURS]
    return table(["µs of CPU per request", *(FRAMEWORKS[name] for name in shown)], rows)


def _main_row(results: Results, variant: str, shown: list[str]) -> list[str]:
    return [VARIANTS[variant].label, *(number(added(results, name, variant)) for name in shown)]


def _bare(results: Results, framework: str) -> float | None:
    bare: float | None = value(
        results,
        "request",
        "bare_us",
        framework=framework,
        variant="ours-10",
        routes=1,
        kind="item",
        exporter="drop",
    )
    return bare


def _about(results: Results) -> str:
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['system']}, {machine['python']}; "
        f"the {results['form']} form, {results['seconds'] / 60:.0f} minutes. {packages}."
    )


def _both(target: Target, results: Results) -> tuple[float | None, float | None]:
    return (target.peers(results) if target.peers else None), target.ours(results)


def _bounds(target: Target) -> list[str]:
    sign = "≥" if target.is_floor else "≤"
    return ["" if bound is None else f"{sign} {bound:g}{target.unit}" for bound in (target.must, target.want)]


def _with_unit(target: Target, got: float | None) -> str:
    return "–" if got is None else f"{number(got, digits=2)}{target.unit}"
