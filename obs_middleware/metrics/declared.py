"""Metrics that are declared once for their registry: an equal declaration returns the first, another is an error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import msgspec

from obs_middleware.errors import ConfigError
from obs_middleware.metrics import naming
from obs_middleware.metrics.bounded import BoundedMetric, Counter, Gauge, Info
from obs_middleware.metrics.collection import declaring
from obs_middleware.metrics.options import allowed_of, labelnames_of, options_of, unit_of
from obs_middleware.metrics.series_bound import SeriesBound

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from obs_middleware.metrics.collection import AppMetrics

_M = TypeVar("_M", bound=BoundedMetric)


class Options(TypedDict, total=False):
    """What each declaration takes besides.

    Attributes:
        max_series: label sets that are kept, `metrics_max_series` unless given; further ones share one whose values are
            all `other`.
        allowed: by label the values that it may have; any other is `other`.
        lint: False: the name is meant, though Prometheus' linter complains about it.
    """

    max_series: int | None
    allowed: Mapping[str, Collection[str]] | None
    lint: bool


class OptionsWithUnit(Options, total=False):
    """The same of a metric that has a unit.

    Attributes:
        unit: such as `seconds`; ends the name, where it does not yet.
    """

    unit: str


class Declaration(msgspec.Struct, frozen=True):
    """How a metric was declared; two are equal, or the metrics are different."""

    kind: type[BoundedMetric]
    documentation: str
    labelnames: tuple[str, ...]
    unit: str
    max_series: int
    allowed: dict[str, frozenset[str]]
    default_labels: dict[str, str]
    options: dict[str, Any]


class Declarations:
    """Declare the metrics of one Observer.

    Args:
        prefix: stands before each name.
        default_labels: stand before the labels of each series.
        max_series: label sets of a metric that are kept, unless its declaration says it.
        count_overflow: is called with a metric's name for a label set past its cap.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        prefix: str,
        default_labels: dict[str, str],
        max_series: int,
        count_overflow: Callable[[str], None],
        app_metrics: AppMetrics,
    ) -> None:
        self._registry = registry
        self._prefix = f"{prefix.rstrip('_')}_" if prefix else ""
        self._default_labels = default_labels
        self._max_series = max_series
        self._count_overflow = count_overflow
        self._app_metrics = app_metrics

    def declare(
        self,
        kind: type[_M],
        name: str,
        documentation: str,
        labelnames: Iterable[str],
        *,
        unit: str = "",
        max_series: int | None = None,
        allowed: Mapping[str, Collection[str]] | None = None,
        lint: bool = True,
        **options: Any,
    ) -> _M:
        """Return the metric of a declaration.

        Raises:
            ConfigError: the name is taken by a different metric, or Prometheus does not take the declaration.
        """
        if not isinstance(name, str):
            raise ConfigError(f"a metric must have a name, got {name!r}")
        name = f"{self._prefix}{name}"
        whole = _whole_name(kind, name, unit_of(name, _name_of(kind), unit))
        labels = labelnames_of(whole, labelnames)
        declaration = Declaration(
            kind,
            documentation,
            labels,
            unit,
            self._max_series if max_series is None else max_series,
            allowed_of(whole, labels, allowed),
            self._default_labels,
            options_of(whole, _name_of(kind), options),
        )
        _check(whole, declaration, is_linted=lint)
        declared = self._app_metrics.declared
        with declaring:
            if whole not in declared:
                declared[whole] = self._make(whole, declaration), declaration
            metric, first = declared[whole]
        if first != declaration:
            raise ConfigError(f"metric {whole} is declared as {_difference(first, declaration)}")
        found: _M = metric
        return found

    def _make(self, name: str, declaration: Declaration) -> BoundedMetric:
        labels = declaration.labelnames
        is_info = issubclass(declaration.kind, Info)
        defaults = {} if is_info else self._default_labels  # an info may have them as its own
        make: Any = declaration.kind
        try:
            metric: BoundedMetric = make(
                name,
                declaration.documentation,
                (*defaults, *labels),
                unit=declaration.unit,
                registry=self._registry,
                **declaration.options,
            )
        except ValueError as error:
            why = f"{error}"
            if "Duplicated" in why:
                why = (
                    "the registry has this name already, from a metric of obs-middleware or one that was made without "
                    "observer.metrics: give this one another name, or all a metrics_prefix"
                )
            raise ConfigError(f"metric {name}: {why}") from None
        if isinstance(metric, Gauge):
            metric.call_before = self._app_metrics.before
        if isinstance(metric, Info):
            metric.default_labels = self._default_labels
        if not labels:
            return metric.labels(*defaults.values()) if defaults else metric
        metric.bound = SeriesBound(
            labels,
            default_values=tuple(defaults.values()),
            allowed=declaration.allowed,
            max_series=declaration.max_series,
            count_overflow=partial(self._count_overflow, name),
        )
        return metric


def _whole_name(kind: type[BoundedMetric], name: str, unit: str) -> str:
    """Return the name of the family, as prometheus-client makes it."""
    if kind is Counter:
        name = name.removesuffix("_total")
    return name if not unit or name.endswith(f"_{unit}") else f"{name}_{unit}"


def _check(name: str, declaration: Declaration, *, is_linted: bool) -> None:
    labels, cure = declaration.labelnames, ""
    kind = _name_of(declaration.kind)
    faults = [*naming.faults(kind, name, declaration.documentation, labels), *_odd_options(declaration)]
    if is_linted and not faults:
        faults = [*naming.complaints(kind, name, labels)]
        cure = " (lint=False: the name is meant)"
    if faults:
        raise ConfigError(f"metric {name}: {'; '.join(faults)}{cure}")


def _odd_options(declaration: Declaration) -> Iterator[str]:
    labels = {*map(str, declaration.labelnames)}
    for label in declaration.allowed.keys() - labels:
        yield f"allowed names {label!r}, which is none of its labels"
    for label in declaration.default_labels.keys() & labels:
        yield f"{label!r} is a default label: leave it out"
    cap: object = declaration.max_series
    if not isinstance(cap, int) or cap < 1:
        yield f"max_series must be a whole number, 1 or more, got {cap!r}"


def _difference(first: Declaration, second: Declaration) -> str:
    """Return how a declaration differs from an earlier one, in the words of `observer.metrics`."""
    earlier, now = naming.with_article(_name_of(first.kind)), naming.with_article(_name_of(second.kind))
    old, new = _options(first), _options(second)
    changed = [f"{name}={old[name]!r}, now {new.get(name)!r}" for name in old if old[name] != new.get(name)]
    how = f"now as {now}" if earlier != now else f"with {'; '.join(changed)}"
    return f"{earlier} already, {how}: declare it once, or give this one another name"


def _options(declaration: Declaration) -> dict[str, Any]:
    options = msgspec.structs.asdict(declaration)
    del options["kind"]
    allowed = {label: sorted(values) for label, values in declaration.allowed.items()}
    options |= {"allowed": allowed, **options.pop("options")}
    return {name: [*value] if isinstance(value, tuple) else value for name, value in options.items()}


def _name_of(kind: type[BoundedMetric]) -> str:
    return kind.__name__.lower()
