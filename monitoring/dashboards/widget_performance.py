"""tokpulse, widget performance: how fast widgets are rendered and seen, what fails, and what experiments do to them."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, heatmap, stat, time_series
from monitoring.dashboards.promql import Scope, or_zero
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above, any_is_bad
from monitoring.dashboards.tokpulse_variables import SERVICE, STORE, STORES
from monitoring.dashboards.variables import SCOPE, values

RENDER = "tokpulse_widget_render_ms"
LCP = "tokpulse_widget_lcp_proxy_ms"
ERRORS = "tokpulse_widget_errors_total"
WIDGETS = Scope((*STORES.matchers, 'surface=~"$surface"'))
SLOW_RENDER = above(50, 200)
SLOW_LCP = above(2500, 4000)  # the bounds of Web Vitals: good, needs improvement, poor
FAILURES = above(0.01, 0.05)


def failed(by: str = "") -> str:
    """Write the share of widgets that failed: a widget is either rendered and timed, or an error."""
    errors, rendered = (WIDGETS.rate(name, by=by) for name in (ERRORS, f"{RENDER}_count"))
    whole = f"({errors} + {rendered} or {rendered} or {errors})"
    return f"({errors} or 0 * {rendered})\n  / ({whole} > 0)"


NOW = row(
    "Now",
    stat("Widgets", "Widgets per second that were rendered.", WIDGETS.rate(f"{RENDER}_count"), unit="ops"),
    stat(
        "Failed",
        "Share of the widgets that could not be rendered.",
        failed(),
        unit="percentunit",
        thresholds=FAILURES,
    ),
    stat(
        "Render, median",
        "Half of the widgets were rendered on the server within this time.",
        WIDGETS.quantile(0.5, RENDER),
        unit="ms",
        thresholds=SLOW_RENDER,
    ),
    stat(
        "Render, p95",
        "95 of 100 widgets were rendered on the server within this time.",
        WIDGETS.quantile(0.95, RENDER),
        unit="ms",
        thresholds=SLOW_RENDER,
    ),
    stat(
        "LCP, p75",
        "Three of four browsers had painted the largest element within this time, as they report themselves. "
        "2.5 s is good, 4 s is poor.",
        WIDGETS.quantile(0.75, LCP),
        unit="ms",
        thresholds=SLOW_LCP,
        nothing="no reports",
    ),
    stat(
        "Guardrails",
        "Breaches of an experiment's guardrail in the time range.",
        or_zero(SCOPE.increase("tokpulse_guardrail_breach_total")),
        unit="short",
        thresholds=any_is_bad("orange"),
    ),
)

RENDERING = row(
    "Rendering",
    time_series(
        "Render time by surface, p95",
        "Time to render a widget on the server.",
        Query(WIDGETS.quantile(0.95, RENDER, by="surface"), "{{surface}}"),
        unit="ms",
        thresholds=SLOW_RENDER,
        width=8,
    ),
    heatmap(
        "How render times spread",
        "How many widgets took how long.",
        WIDGETS.rate(f"{RENDER}_bucket", by="le"),
        unit="ms",
        width=8,
    ),
    time_series(
        "Errors by type",
        "Widgets per second that could not be rendered.",
        Query(or_zero(WIDGETS.rate(ERRORS, by="surface, errorType")), "{{surface}} {{errorType}}"),
        unit="ops",
        thresholds=any_is_bad("orange"),
        stacked=True,
        width=8,
    ),
)

SEEN = row(
    "What shoppers see",
    time_series(
        "LCP by surface, p75",
        "Largest contentful paint, as browsers report it.",
        Query(WIDGETS.quantile(0.75, LCP, by="surface"), "{{surface}}"),
        unit="ms",
        thresholds=SLOW_LCP,
    ),
    time_series(
        "LCP by store, p75",
        "One store that is slower than the others has a heavy page around the widget.",
        Query(WIDGETS.quantile(0.75, LCP, by="storeId"), "{{storeId}}"),
        unit="ms",
        thresholds=SLOW_LCP,
    ),
    table(
        "Stores and surfaces",
        "Each store and surface with its widgets.",
        Column("Widgets", WIDGETS.rate(f"{RENDER}_count", by="storeId, surface"), "ops"),
        Column("Failed", failed("storeId, surface"), "percentunit", FAILURES),
        Column("Render p95", WIDGETS.quantile(0.95, RENDER, by="storeId, surface"), "ms", SLOW_RENDER),
        Column("LCP p75", WIDGETS.quantile(0.75, LCP, by="storeId, surface"), "ms", SLOW_LCP),
    ),
)

EXPERIMENTS = row(
    "Experiments",
    time_series(
        "Exposures by variant",
        "Widgets per second that were shown in a variant of an experiment.",
        Query(
            WIDGETS.rate("tokpulse_exposure_total", by="experiment, variant"), "{{experiment}} {{variant}}"
        ),
        unit="ops",
        stacked=True,
        width=8,
    ),
    bar_gauge(
        "Assignments over the time range",
        "Shoppers that were put into a variant. Variants of one experiment should be as equal as planned.",
        Query(
            STORES.increase("tokpulse_assignment_total", by="experiment, variant"),
            "{{experiment}} {{variant}}",
        ),
        unit="short",
        width=8,
    ),
    time_series(
        "Breaches of guardrails",
        "Breaches per second: a figure of a variant was worse than its threshold allows.",
        Query(
            or_zero(SCOPE.rate("tokpulse_guardrail_breach_total", by="experiment, metric, threshold")),
            "{{experiment}} {{metric}} {{threshold}}",
        ),
        unit="ops",
        thresholds=any_is_bad("orange"),
        width=8,
    ),
)

DASHBOARD = dashboard(
    "tokpulse-widget-performance",
    "tokpulse: widget performance",
    "Widgets in the storefronts: how fast they are rendered and painted, what fails, and what experiments do.",
    NOW,
    RENDERING,
    SEEN,
    EXPERIMENTS,
    tag="tokpulse",
    variables=[
        *SERVICE,
        STORE,
        values("surface", "Surface", "The place of a widget in the shop.", STORES.series(f"{RENDER}_count")),
    ],
)
