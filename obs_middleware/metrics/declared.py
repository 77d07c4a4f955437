"""Metrics that are declared once for their registry: an equal declaration returns the first, another is an error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import msgspec

from obs_middleware.errors import ConfigError
from obs_middleware.metrics import naming
from obs_middleware.metrics.bounded import BoundedMetric, Counter, Gauge, SeriesBound
from obs_middleware.metrics.collection import declaring
from obs_middleware.metrics.options import labelnames_of, options_of

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
        whole = _whole_name(kind, f"{self._prefix}{name}", unit)
        declaration = Declaration(
            kind,
            documentation,
            labelnames_of(whole, labelnames),
            unit,
            self._max_series if max_series is None else max_series,
            {label: frozenset(map(str, _several(values))) for label, values in (allowed or {}).items()},
            self._default_labels,
            options_of(whole, _shown(kind), options),
        )
        _check(whole, declaration, is_linted=lint)
        declared = self._app_metrics.declared
        with declaring:
            if whole not in declared:
                declared[whole] = self._make(whole, declaration), declaration
            metric, first = declared[whole]
        if first != declaration:
            raise ConfigError(f"metric {whole} is declared already, {_difference(first, declaration)}")
        found: _M = metric
        return found

    def _make(self, name: str, declaration: Declaration) -> BoundedMetric:
        labels, defaults = declaration.labelnames, self._default_labels
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
        except (
            ValueError
        ) as error:  # of prometheus-client: the name is taken by a metric that is not ours, say
            raise ConfigError(f"metric {name}: {error}") from None
        if isinstance(metric, Gauge):
            metric.call_before = self._app_metrics.before
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


def _several(values: Collection[str]) -> Collection[str]:
    return (values,) if isinstance(values, str) else values


def _whole_name(kind: type[BoundedMetric], name: str, unit: str) -> str:
    """Return the name of the family, as prometheus-client makes it."""
    if kind is Counter:
        name = name.removesuffix("_total")
    return name if not unit or name.endswith(f"_{unit}") else f"{name}_{unit}"


def _check(name: str, declaration: Declaration, *, is_linted: bool) -> None:
    labels, cure = declaration.labelnames, ""
    faults = [*naming.faults(name, declaration.documentation, labels), *_odd_options(declaration)]
    if is_linted and not faults:
        faults = [*naming.complaints(declaration.kind.__name__.lower(), name, labels)]
        cure = " (lint=False: the name is meant)"
    if faults:
        raise ConfigError(f"metric {name}: {'; '.join(faults)}{cure}")


def _odd_options(declaration: Declaration) -> Iterator[str]:
    labels = declaration.labelnames
    for label in declaration.allowed.keys() - {*labels}:
        yield f"allowed names {label!r}, which is none of its labels"
    for label in declaration.default_labels.keys() & {*labels}:
        yield f"{label!r} is a default label: leave it out"
    cap: object = declaration.max_series
    if not isinstance(cap, int) or cap < 1:
        yield f"max_series must be a whole number, 1 or more, got {cap!r}"


def _difference(first: Declaration, second: Declaration) -> str:
    changed = [
        f"{name}={_shown(old)}, now {_shown(new)}"
        for name in Declaration.__struct_fields__
        if (old := getattr(first, name)) != (new := getattr(second, name))
    ]
    return f"with {'; '.join(changed)}: declare it once, or give this one another name"


def _shown(value: object) -> str:
    return value.__name__.lower() if isinstance(value, type) else repr(value)
