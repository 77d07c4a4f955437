"""The rules of objectives: ratios over seven windows and the budget, recorded; alerts on two windows at a time.

The windows and factors are those of Google's SRE workbook: https://sre.google/workbook/alerting-on-slos/
The names of what is recorded are Sloth's, which other dashboards for SLOs know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from obs_middleware.cli.rules.objectives import Objective, bucket_label

ALERT = "SLOErrorBudgetBurn"
_DURATION = "http_server_request_duration_seconds"
_PERIOD = "30d"
_WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d", _PERIOD)  # beside 5m, of which they are made
# What is nobody's failure but the client's; `overflow` has no outcome of its own.
_GOOD = "|client_disconnect|cancelled|overflow"

Rule = dict[str, Any]


class Window(NamedTuple):
    """Two windows that must both burn, and how many times too fast."""

    long: str
    short: str
    factor: str
    severity: str
    budget_left: str

    def can_fire(self, objective: Objective) -> bool:
        """Tell whether any ratio of errors reaches the factor."""
        return Decimal(self.factor) * objective.budget < 1


WINDOWS = (
    Window("1h", "5m", "14.4", "page", "2 days"),
    Window("6h", "30m", "6", "page", "5 days"),
    Window("1d", "2h", "3", "ticket", "10 days"),
    Window("3d", "6h", "1", "ticket", "30 days"),
)


def rules(objectives: Iterable[Objective], *, runbook_url: str | None = None) -> dict[str, Any]:
    """Return the rules of objectives as Prometheus reads them, a group for each service."""
    by_service = groupby(sorted(objectives, key=lambda one: one.service), key=lambda one: one.service)
    return {
        "groups": [
            {
                "name": f"slo-{service}",
                "interval": "1m",
                "rules": [rule for one in own for rule in (*_records(one), *_alerts(one, runbook_url))],
            }
            for service, own in by_service
        ]
    }


def matchers(objective: Objective) -> str:
    """Return what chooses the recorded series of an objective; those of single routes are not meant by the whole."""
    labels = {"service": "", "slo": "", "route": ""} | objective.labels
    return ",".join(f"{name}={_quoted(value)}" for name, value in labels.items())


def _records(objective: Objective) -> Iterator[Rule]:
    def record(name: str, expr: str) -> Rule:
        return {"record": name, "expr": expr, "labels": objective.labels}

    own = matchers(objective)
    all_requests, bad_requests = _rates(objective)
    yield record("slo:requests:rate5m", all_requests)
    yield record("slo:request_errors:rate5m", bad_requests)
    requests, errors = f"slo:requests:rate5m{{{own}}}", f"slo:request_errors:rate5m{{{own}}}"
    yield record("slo:sli_error:ratio_rate5m", f"{errors} / ({requests} > 0)")
    for window in _WINDOWS:
        sums = f"sum_over_time({errors}[{window}])\n/\n(sum_over_time({requests}[{window}]) > 0)"
        yield record(f"slo:sli_error:ratio_rate{window}", sums)
    yield record("slo:objective:ratio", f"vector({_number(1 - objective.budget)})")
    yield record("slo:error_budget:ratio", f"vector({_number(objective.budget)})")
    budget = _number(objective.budget)
    yield record("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{{{own}}} / {budget}")
    yield record(
        "slo:period_error_budget_remaining:ratio",
        f"1 - slo:sli_error:ratio_rate{_PERIOD}{{{own}}} / {budget}",
    )


def _rates(objective: Objective) -> tuple[str, str]:
    """Return the rate of all requests, and of the bad ones; it is 0 where there are none of them."""
    of_route = f"http_route={_quoted(objective.route)}" if objective.route else ""
    chosen = [*filter(None, (objective.selector, of_route))]

    def rate(suffix: str, *more: str) -> str:
        return f"sum(rate({_DURATION}_{suffix}{{{','.join((*chosen, *more))}}}[5m]))"

    requests = rate("count")
    if objective.latency_seconds is None:
        failed = rate("count", f'error_type!~"{_GOOD}"')
        return requests, f"{failed}\nor\n0 * {requests}"
    fast = rate("bucket", f'le="{bucket_label(objective.latency_seconds)}"')
    return requests, f"{requests}\n-\n{fast}"


def _alerts(objective: Objective, runbook_url: str | None) -> Iterator[Rule]:
    own, budget = matchers(objective), _number(objective.budget)
    for window in WINDOWS:
        if window.can_fire(objective):
            yield {
                "alert": ALERT,
                "expr": "\nand\n".join(
                    f"slo:sli_error:ratio_rate{one}{{{own}}} > {window.factor} * {budget}"
                    for one in (window.long, window.short)
                ),
                "labels": {
                    **objective.labels,  # which the series have too: promtool's linter compares what is written
                    "severity": window.severity,
                    "long_window": window.long,
                    "short_window": window.short,
                },
                "annotations": _annotations(objective, window, runbook_url),
            }


def _annotations(objective: Objective, window: Window, runbook_url: str | None) -> dict[str, str]:
    of_route = f" {objective.route}" if objective.route else ""
    what = (
        "fail" if objective.latency_seconds is None else f"take longer than {objective.latency_seconds:g} s"
    )
    texts = {
        "summary": f"{objective.service}{of_route} burns its {objective.slo} budget {window.factor} times too fast.",
        "description": (
            f"{{{{ $value | humanizePercentage }}}} of the requests of the last {window.long} {what}; "
            f"{_percent(objective.budget)} % may. At this rate the budget of 30 days lasts {window.budget_left}."
        ),
    }
    return texts | ({"runbook_url": runbook_url} if runbook_url else {})


def _number(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _percent(number: Decimal) -> str:
    return _number(number * 100)


def _quoted(text: str) -> str:
    """Return a text as PromQL has it in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
