"""A table panel: one row for each value of a label, one column for each query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, Threshold
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.frame import About, Query, described, target
from monitoring.dashboards.thresholds import NEUTRAL


@dataclass(frozen=True, slots=True)
class Column:
    """A number of each row."""

    name: str
    query: str
    unit: str
    thresholds: Sequence[Threshold] = NEUTRAL


def table(title: str, description: str, *columns: Column, width: int = 24, runbook: str = "") -> Any:
    """Join the newest numbers of all columns by their labels, the highest of the first column first."""
    first, *_ = columns
    panel = tables.Panel().sort_by([common.TableSortByFieldState().display_name(first.name).desc(True)])
    for letter, column in zip(ascii_uppercase, columns, strict=False):
        panel.with_target(target(letter, Query(column.query), instant=True).format(PromQueryFormat.TABLE))
        panel.override_by_name(column.name, _format(column))
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(DataTransformerConfig(id_val="organize", options=_organized(columns)))
    about = About(title, description, first.unit, runbook=runbook)
    return described(panel, about, width=width, height=9)


def _format(column: Column) -> list[DynamicConfigValue]:
    steps = [{"value": step.value, "color": step.color} for step in column.thresholds]
    cell = {"type": "color-text" if len(steps) > 1 else "auto"}
    return [
        DynamicConfigValue(id_val="unit", value=column.unit),
        DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}),
        DynamicConfigValue(id_val="custom.cellOptions", value=cell),
    ]


def _organized(columns: Sequence[Column]) -> dict[str, Any]:
    """Leave the time out, and give what merging calls `Value #A` the name of its column."""
    names = {
        f"Value #{letter}": column.name for letter, column in zip(ascii_uppercase, columns, strict=False)
    }
    only = {"Value": columns[0].name} if len(columns) == 1 else {}
    return {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names | only}
