"""The kinds of panels: curves, one number, bars, how a histogram spreads, states over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    statetimeline,
)
from grafana_foundation_sdk.builders import (
    heatmap as heatmaps,
)
from grafana_foundation_sdk.builders import (
    stat as stats,
)
from grafana_foundation_sdk.builders import (
    timeseries as curves,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models.dashboard import FieldColorModeId, Threshold, ValueMap
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.frame import About, Query, asking, described, target
from monitoring.dashboards.thresholds import NEUTRAL


def time_series(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    thresholds: Sequence[Threshold] = NEUTRAL,
    width: int = 12,
    stacked: bool = False,
    maximum: float | None = None,
    runbook: str = "",
    links: Sequence[DashboardLink] = (),
) -> Any:
    """Draw curves over time; a threshold is a dashed line."""
    panel = (
        curves.Panel()
        .min(0)
        .fill_opacity(25 if stacked else 10)
        .line_width(1)
        .show_points(models.VisibilityMode.NEVER)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .tooltip(_all_in_one_tooltip())
        .legend(_legend_below())
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
    if maximum is not None:
        panel.max(maximum)
    if len(thresholds) > 1:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        )
    about = About(title, description, unit, thresholds, runbook, links)
    return asking(described(panel, about, width=width), queries)


def stat(
    title: str,
    description: str,
    query: str,
    *,
    unit: str,
    thresholds: Sequence[Threshold] = NEUTRAL,
    width: int = 4,
    nothing: str = "no traffic",
    runbook: str = "",
) -> Any:
    """Show one number, the newest, over its curve; `nothing` stands where there is none."""
    panel = (
        stats.Panel()
        .no_value(nothing)
        .color_mode(models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.AREA)
        .reduce_options(_newest())
    )
    about = About(title, description, unit, thresholds, runbook)
    return asking(described(panel, about, width=width, height=4), [Query(query)])


def bar_gauge(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    thresholds: Sequence[Threshold] = NEUTRAL,
    width: int = 12,
    maximum: float | None = None,
    runbook: str = "",
) -> Any:
    """Compare the newest numbers of several series."""
    panel = (
        bargauge.Panel()
        .min(0)
        .orientation(models.VizOrientation.HORIZONTAL)
        .display_mode(models.BarGaugeDisplayMode.GRADIENT)
        .reduce_options(_newest())
    )
    if maximum is not None:
        panel.max(maximum)
    about = About(title, description, unit, thresholds, runbook)
    return asking(described(panel, about, width=width), [query], instant=True)


def heatmap(
    title: str, description: str, buckets: str, *, unit: str, width: int = 12, exemplars: bool = False
) -> Any:
    """Show how the observations of a histogram spread; `buckets` is a query by `le`. Exemplars are dots."""
    panel = (
        heatmaps.Panel()
        .calculate(False)
        .color(_oranges())
        .y_axis(heatmaps.YAxisConfig().unit(unit).axis_placement(models.AxisPlacement.LEFT))
        .cell_gap(1)
        .show_legend()
        .with_target(target("A", Query(buckets, "{{le}}", exemplars)).format(PromQueryFormat.HEATMAP))
    )
    return described(panel, About(title, description, unit), width=width)


def state_timeline(
    title: str,
    description: str,
    query: Query,
    *,
    states: ValueMap,
    thresholds: Sequence[Threshold],
    width: int = 24,
    runbook: str = "",
) -> Any:
    """Show which state each series was in; `states` names its values."""
    panel = (
        statetimeline.Panel()
        .mappings([states])
        .merge_values(True)
        .show_value(models.VisibilityMode.AUTO)
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    return asking(
        described(panel, About(title, description, "none", thresholds, runbook), width=width), [query]
    )


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _all_in_one_tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING)


def _legend_below() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(models.LegendDisplayMode.LIST)
        .placement(models.LegendPlacement.BOTTOM)
    )


def _oranges() -> heatmaps.HeatmapColorOptions:
    colours = heatmaps.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return colours.fill("dark-orange").scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5)
