"""Tests of the rules for `promtool test rules`: each pair of windows alerts when it must, and only then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from obs_middleware.cli.rules.burn_rate import ALERT, WINDOWS, matchers
from obs_middleware.cli.rules.objectives import Objective, bucket_label
from obs_middleware.errors import ConfigError

_DURATION = "http_server_request_duration_seconds"
_PER_MINUTE = 6000
_MINUTES = 10  # of a steady rate, after which each window has the ratio of all that there is
_RECOVERED = 50  # minutes after which 10 of burning are no longer in the short windows of a page
_MORE, _LESS = Decimal("1.02"), Decimal("0.98")  # than a factor


def tests(objectives: Iterable[Objective], *, rules_file: str) -> dict[str, Any]:
    """Return the tests of objectives as promtool reads them."""
    return {
        "rule_files": [rules_file],
        "evaluation_interval": "1m",
        "tests": [test for one in objectives for test in _of(one)],
    }


def example_labels(selector: str) -> dict[str, str]:
    """Return the labels of a series that a selector of plain matchers chooses.

    Raises:
        ConfigError: a matcher is another one than `name="value"`.
    """
    labels = {}
    for matcher in filter(None, (part.strip() for part in selector.split(","))):
        name, _, value = matcher.partition("=")
        if not (name.isidentifier() and len(value) >= 2 and value[0] == value[-1] == '"'):
            raise ConfigError(
                f'tests can be made for matchers such as job="shop" alone, got {matcher}: leave --tests out, or choose '
                "the service by other matchers"
            )
        labels[name] = value[1:-1]
    return labels


def _of(objective: Objective) -> Iterator[dict[str, Any]]:
    windows = [window for window in WINDOWS if window.can_fire(objective)]
    for place, window in enumerate(windows):
        factor = Decimal(window.factor) * objective.budget
        above, below = ([one.long for one in windows[first:]] for first in (place, place + 1))
        yield _steady(
            objective, f"more than {window.factor} times the budget", min(factor * _MORE, Decimal(1)), above
        )
        yield _steady(objective, f"less than {window.factor} times the budget", factor * _LESS, below)
    if windows and windows[0].severity == "page":
        yield _recovery(objective)


def _steady(objective: Objective, what: str, ratio: Decimal, firing: Sequence[str]) -> dict[str, Any]:
    bad = round(_PER_MINUTE * ratio, 6)
    series = _series(objective, f"0+{_PER_MINUTE - bad}x{_MINUTES}", f"0+{bad}x{_MINUTES}")
    return _test(objective, what, series, {_MINUTES: firing})


def _recovery(objective: Objective) -> dict[str, Any]:
    """Return the test that pages end soon after the requests are good again."""
    rest = _RECOVERED - _MINUTES
    bad_total = _PER_MINUTE * _MINUTES
    series = _series(
        objective,
        f"0x{_MINUTES} {_PER_MINUTE}+{_PER_MINUTE}x{rest - 1}",
        f"0+{_PER_MINUTE}x{_MINUTES} {bad_total}x{rest - 1}",
    )
    pages = [one.long for one in WINDOWS if one.severity == "page" and one.can_fire(objective)]
    firing = {_MINUTES: pages, _RECOVERED: []}
    return _test(objective, "ten minutes of failures, then none", series, firing, of=',severity="page"')


def _series(objective: Objective, good: str, bad: str) -> list[dict[str, str]]:
    """Return the counters of good and of bad requests."""
    labels = example_labels(objective.selector) | {"http_route": _escaped(objective.route or "/")}
    if objective.latency_seconds is None:
        return [
            _one("count", labels | {"http_response_status_code": "200"}, good),
            _one("count", labels | {"http_response_status_code": "500", "error_type": "500"}, bad),
        ]
    fast, slow = labels | {"http_response_status_code": "200"}, labels | {"http_response_status_code": "201"}
    bound = {"le": bucket_label(objective.latency_seconds)}
    return [
        _one("count", fast, good),
        _one("bucket", fast | bound, good),
        _one("count", slow, bad),
        _one("bucket", slow | bound, f"0x{_RECOVERED}"),
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _one(suffix: str, labels: dict[str, str], values: str) -> dict[str, str]:
    text = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return {"series": f"{_DURATION}_{suffix}{{{text}}}", "values": values}


def _test(
    objective: Objective,
    what: str,
    series: list[dict[str, str]],
    firing: Mapping[int, Sequence[str]],
    *,
    of: str = "",
) -> dict[str, Any]:
    chosen = f'alertname="{ALERT}",alertstate="firing",{matchers(objective)}{of}'
    name = " ".join(filter(None, (objective.service, objective.slo, objective.route)))
    return {
        "name": f"{name}: {what}",
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": f"count by (long_window) (ALERTS{{{chosen}}})",
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f'{{long_window="{one}"}}', "value": 1} for one in windows],
            }
            for minutes, windows in firing.items()
        ],
    }
