"""The table 'what holds where', made from a run of the list and from nothing else.

    pytest tests/conformance --conformance-table=docs/conformance.md

A row is a behaviour, in the words of its test's docstring; a column is a front end. `n/a` is a behaviour that cannot be
there, for the reason given below the table.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HELD, BROKEN, UNASKED = "✓", "✗", "·"
_HEAD = """# What holds where

`make conformance` makes this table from a run of `tests/conformance`: one list of behaviours on seven front ends.
`n/a` means that a front end cannot have a behaviour. The number leads to the reason below the table.
"""


@dataclass(frozen=True)
class Behaviour:
    """One row: where it is written, which is its place in the table, and what it asks for."""

    file: str
    line: int
    part: str = field(compare=False)
    title: str = field(compare=False)
    needs: frozenset[str] = field(compare=False)


class Table:
    """Collect results while pytest runs; write them at its end when asked to."""

    def __init__(self, config: pytest.Config, front_ends: Sequence[Any]) -> None:
        self._table: str | None = config.getoption("--conformance-table", None)
        self._front_ends = front_ends
        self._asked: dict[str, tuple[Behaviour, str]] = {}
        self._held: dict[tuple[Behaviour, str], bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items[:]:
            front_end = _front_end(item)
            if front_end in self._front_ends:
                self._asked[item.nodeid] = _behaviour(item), front_end.name
            elif front_end is not None:  # pytest's mark for a test that no front end can have
                self._asked[item.nodeid] = _behaviour(item), ""
                items.remove(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = self._asked.get(report.nodeid)
        if place is not None and (report.when == "call" or report.failed):
            self._held[place] = self._held.get(place, True) and report.passed

    def pytest_sessionfinish(self) -> None:
        if self._table:
            Path(self._table).write_text(f"{_HEAD}\n{self.markdown()}", encoding="utf-8")

    def markdown(self) -> str:
        """Return the table."""
        reasons: list[str] = []
        labels = [front_end.label for front_end in self._front_ends]
        lines = [_row("", *labels), _row("---", *(":-:" for _ in labels))]
        part = ""
        behaviours = {behaviour for behaviour, _ in self._asked.values()}
        for behaviour in sorted(behaviours, key=lambda one: (one.file, one.line)):
            if part != behaviour.part:
                part = behaviour.part
                lines.append(_row(f"**{part}**", *("" for _ in labels)))
            cells = (self._cell(behaviour, front_end, reasons) for front_end in self._front_ends)
            lines.append(_row(behaviour.title, *cells))
        notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
        return "\n".join([*lines, "", *notes, ""])

    def _cell(self, behaviour: Behaviour, front_end: Any, reasons: list[str]) -> str:
        held = self._held.get((behaviour, front_end.name))
        if held is not None:
            return HELD if held else BROKEN
        for need in sorted(behaviour.needs & front_end.absent.keys()):
            reason = front_end.absent[need]
            if reason not in reasons:
                reasons.append(reason)
            return f"n/a <sup>{reasons.index(reason) + 1}</sup>"
        return UNASKED


def _front_end(item: pytest.Item) -> Any:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("front_end")


def _behaviour(item: pytest.Item) -> Behaviour:
    function = item.function  # type: ignore[attr-defined]
    return Behaviour(
        file=item.path.name,
        line=function.__code__.co_firstlineno,
        part=_first_line(sys.modules[function.__module__]),
        title=_first_line(function),
        needs=frozenset(need for mark in item.iter_markers("needs") for need in mark.args),
    )


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or str(thing.__name__)).partition("\n")[0].rstrip(".")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
