"""What is wrong with a query: metrics and labels that nobody declares, the rate of a gauge, quantiles without `le`.

promql-parser parses, which is Prometheus' own grammar.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import accumulate
from typing import Any

from obs_middleware.cli.lint.metrics import Metrics
from obs_middleware.errors import ConfigError

_ANY = "any_variable"  # stands for a variable of Grafana that is a name
# Labels that Prometheus, its service discovery and rules add: no code declares them.
_ADDED = frozenset(
    {
        "job",
        "instance",
        "worker",
        "cluster",
        "namespace",
        "pod",
        "container",
        "node",
        "service",
        "endpoint",
        "environment",
        "alertname",
        "alertstate",
        "severity",
        "__name__",
        _ANY,
        "le",
        "quantile",
        "exported_job",
        "exported_instance",
    }
)
_OF_COUNTERS = ("rate", "irate", "increase", "resets")
_TIME = re.compile(r"\$\{?__(rate_interval|interval|range)\}?|\$\{?(interval|resolution|window|period)\}?")
_VARIABLE = re.compile(r"\$\{\w+(?::[^}]*)?\}|\$\w+|\[\[\w+\]\]")
_LABELS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")

_DEEPEST = 50  # the parser overflows its stack, or hangs, where there are many more
_NUMBERS = re.compile(r"\$\{?__(range_s|range_ms|interval_ms|from|to)\}?")


class Lint:
    """Queries against metrics.

    Args:
        labels: further labels that any metric may have.
    """

    def __init__(self, metrics: Metrics, *, labels: frozenset[str] = frozenset()) -> None:
        self._metrics = metrics
        self._labels = _ADDED | labels
        self._parser = _parser()

    def complaints(self, query: str) -> Iterator[str]:
        """Yield what is wrong with a query; Grafana's variables may stand for durations, numbers and labels."""
        if _depth(query) > _DEEPEST:
            yield f"does not parse: it has more than {_DEEPEST} brackets inside each other"
            return
        try:
            found = dict.fromkeys(self._of(self._parsed(query)))
        except ValueError as error:
            yield f"does not parse: {error}"
        except RecursionError:
            yield "is too long: split it by recording rules"
        else:
            yield from found

    def _parsed(self, query: str) -> Any:
        errors = list[ValueError]()
        for spelled in dict.fromkeys(_without_variables(query)):
            try:
                return self._parser.parse(spelled)
            except ValueError as error:
                errors.append(error)
        raise errors[0]

    def _of(self, node: Any) -> Iterator[str]:
        kind = type(node).__name__
        if kind == "VectorSelector":
            yield from self._of_selector(node)
        elif kind == "Call" and node.func.name in _OF_COUNTERS:
            yield from self._of_rate(node)
        elif kind == "Call" and node.func.name == "histogram_quantile":
            yield from _of_quantile(node)
        elif kind == "AggregateExpr":
            yield from self._of_grouping(node)
        for child in children(node):
            yield from self._of(child)

    def _of_selector(self, selector: Any) -> Iterator[str]:
        name = name_of(selector)
        if name is None or name == _ANY:
            return
        family = self._metrics.get(name)
        if family is None:
            near = self._metrics.near(name)
            cure = f": did you mean {' or '.join(near)}?" if near else ""
            yield f"no metric is named {name}{cure}"
            return
        if family.labels is not None:
            for matcher in selector.matchers.matchers:
                if matcher.name not in self._labels | family.labels:
                    yield self._unknown_label(name, matcher.name, family.labels)

    def _of_rate(self, call: Any) -> Iterator[str]:
        for selector in selectors(call):
            name = name_of(selector)
            family = None if name is None else self._metrics.get(name)
            if family is not None and family.is_gauge:
                yield f"{call.func.name}() of {name}, which is a gauge: use deriv() or delta(), or the gauge itself"

    def _of_grouping(self, node: Any) -> Iterator[str]:
        """Yield labels of `by` that none of the metrics below has."""
        if node.modifier is None or "By" not in str(node.modifier.type):
            return
        names = [name for selector in selectors(node.expr) if (name := name_of(selector)) is not None]
        families = [self._metrics.get(name) for name in names]
        given = {label for inner in _inside(node.expr) for label in _made_labels(inner)}
        if not names or any(family is None or family.labels is None for family in families):
            return
        allowed = self._labels.union(
            given, *(family.labels for family in families if family and family.labels)
        )
        for label in node.modifier.labels:
            if label not in allowed:
                yield self._unknown_label(names[0], label, allowed - self._labels)

    def _unknown_label(self, name: str, label: str, labels: frozenset[str]) -> str:
        has = f"it has {', '.join(sorted(labels - {'le'}))}" if labels - {"le"} else "it has none"
        return (
            f"{name} has no label {label}: {has}; --label {label} allows one that Prometheus or the app adds"
        )


def name_of(selector: Any) -> str | None:
    """Return the name of the metric that is selected; None where it is chosen by a pattern."""
    if selector.name:
        return str(selector.name)
    named = (
        one for one in selector.matchers.matchers if one.name == "__name__" and str(one.op).endswith("Equal")
    )
    return next((str(one.value) for one in named if not str(one.op).endswith("NotEqual")), None)


def children(node: Any) -> Iterator[Any]:
    """Yield the expressions that an expression consists of."""
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", None) or ()


def selectors(node: Any) -> Iterator[Any]:
    """Yield the selectors of metrics in an expression."""
    return (inner for inner in _inside(node) if type(inner).__name__ == "VectorSelector")


def _inside(node: Any) -> Iterator[Any]:
    yield node
    for child in children(node):
        yield from _inside(child)


def _made_labels(node: Any) -> Iterator[str]:
    """Yield labels that the query itself makes or brings from another metric."""
    if type(node).__name__ == "Call" and node.func.name in ("label_replace", "label_join"):
        yield str(node.args[1].val)
    if type(node).__name__ == "Call" and node.func.name == "count_values":
        yield str(node.args[0].val)
    if type(node).__name__ == "AggregateExpr" and node.param is not None and hasattr(node.param, "val"):
        yield str(node.param.val)
    if type(node).__name__ == "BinaryExpr" and node.modifier is not None:
        yield from getattr(node.modifier, "group_labels", None) or ()


def _of_quantile(call: Any) -> Iterator[str]:
    """Yield that an aggregation below takes `le` away, which classic buckets are told apart by."""
    buckets = [
        name for one in selectors(call) if (name := name_of(one)) is not None and name.endswith("_bucket")
    ]
    if not buckets:
        return
    for node in _inside(call.args[1]):
        if type(node).__name__ == "AggregateExpr" and not _keeps_le(node):
            yield f"histogram_quantile() of {buckets[0]} without le: aggregate with by (le, …)"


def _keeps_le(node: Any) -> bool:
    if str(node.op) in ("topk", "bottomk", "limitk", "limit_ratio"):
        return True
    if node.modifier is None:
        return False
    is_by = str(node.modifier.type).endswith("By")
    return ("le" in node.modifier.labels) == is_by


def _depth(query: str) -> int:
    """Return how many brackets are open at once; those in texts count too."""
    return max(accumulate((one == "(") - (one == ")") for one in query), default=0)


def _without_variables(query: str) -> Iterator[str]:
    """Yield the query with Grafana's variables replaced by what they may stand for."""
    query = re.sub(
        r"\[[^\[\]\"]*\$[^\[\]\"]*\]",
        lambda found: "[5m:1m]" if ":" in _without_braces(found[0]) else "[5m]",
        query,
    )
    query = _NUMBERS.sub("1", query)
    query = _LABELS.sub(lambda found: _VARIABLE.sub(_ANY, found[0]), query)
    for time, other in (("5m", "1"), ("5m", _ANY), ("300", "1"), ("300", _ANY)):
        yield _VARIABLE.sub(other, _TIME.sub(time, query))


def _without_braces(text: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "", text)


def _parser() -> Any:
    try:
        return import_module("promql_parser")
    except ImportError:
        raise ConfigError("lint parses queries with promql-parser: pip install promql-parser") from None
    except Exception as error:  # compiled for another Python, as release 0.12 in Python 3.15
        version = ".".join(map(str, sys.version_info[:2]))
        raise ConfigError(
            f"promql-parser does not load in Python {version} ({error}): run lint with an older Python"
        ) from None
