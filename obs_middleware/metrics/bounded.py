"""prometheus-client's metrics with a bound on their series, and errors that say what is wanted."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

from obs_middleware.encodable import encodable
from obs_middleware.errors import ConfigError
from obs_middleware.label_names import is_label_name
from obs_middleware.metrics.series_bound import SeriesBound, label_values

_T = TypeVar("_T", bound="BoundedMetric")


class BoundedMetric(MetricWrapperBase):
    """What the classes below have in common; their children, which have values for all labels, have no bound."""

    bound: SeriesBound | None = None

    @property
    def has_labels_to_set(self) -> bool:
        """Tell whether `labels()` has to be called before anything is counted."""
        return self.bound is not None

    def labels(self: _T, *labelvalues: object, **labelkwargs: object) -> _T:
        """Return the child for a label set, as prometheus-client's own `labels` does."""
        bound = self.bound
        if bound is None:
            return super().labels(*labelvalues, **labelkwargs)
        given = bound.placed(labelvalues, labelkwargs)
        for value in given:
            if type(value) is not str:  # an enum equals a text and may have another one
                break
        else:
            kept: _T | None = bound.children.get(given)
            if kept is not None:
                return kept
        values = bound.values(given)
        child = super().labels(*bound.default_values, *values)
        bound.keep(values, child)
        return child

    def remove(self, *labelvalues: Any) -> None:
        """Remove a label set."""
        if self.bound is None:
            super().remove(*labelvalues)
            return
        gone = label_values(labelvalues)
        super().remove(*self.bound.default_values, *gone)
        _call_no_more(self.bound.forget(lambda values: values == gone))

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove the label sets that have these values."""
        if isinstance(labels, dict):
            labels = {name: encodable(str(value)) for name, value in labels.items()}
        super().remove_by_labels(labels)
        if self.bound is not None and labels:
            _call_no_more(self.bound.forget_matching(labels))

    def clear(self) -> None:
        """Remove all label sets."""
        super().clear()
        if self.bound is not None:
            _call_no_more(self.bound.forget(lambda values: True))


class Counter(BoundedMetric, prometheus_client.Counter):
    """A counter."""


class Gauge(BoundedMetric, prometheus_client.Gauge):
    """A gauge; one with a function is set to what that returns before each collection, NaN where it fails.

    Attributes:
        call_before: has a function called before each collection, in place of an earlier one of the same gauge. None:
            none any more.
        declared_function: that of its declaration.
    """

    call_before: Callable[[object, Callable[[], object] | None, str], None] | None = None
    declared_function: Callable[[], float] | None = None

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Gauge:
        """Return the child for a label set."""
        child = super().labels(*labelvalues, **labelkwargs)
        child.call_before = self.call_before
        return child

    def set_function(self, f: Callable[[], float]) -> None:
        """Let a function say the value.

        Raises:
            ConfigError: it is none that can be called when metrics are collected.
        """
        check_function(f, "a gauge's function")
        if self.call_before is None:
            super().set_function(f)
        elif self.has_labels_to_set:
            raise ValueError("gauge metric is missing label values")
        else:
            what = f"the function {full_name(f)} of the {shown(self)}"
            self.call_before(self, partial(self._set_by, f), what)

    def _set_by(self, function: Callable[[], float]) -> None:
        try:
            value = float(function())
        except BaseException:
            self.set(math.nan)
            raise
        self.set(value)


def _call_no_more(gone: list[Any]) -> None:
    """Drop the functions of gauges that were removed."""
    for child in gone:
        if isinstance(child, Gauge) and child.call_before is not None:
            child.call_before(child, None, "")


def shown(metric: object) -> str:
    """Return what was given as a metric, a gauge as `gauge depth`."""
    if isinstance(metric, BoundedMetric):
        return f"{type(metric).__name__.lower()} {f'{metric}'.partition(':')[2]}"
    return repr(metric)


def full_name(function: object) -> str:
    """Return the name of a function with its module's."""
    name = getattr(function, "__qualname__", None)
    return repr(function) if name is None else f"{getattr(function, '__module__', '')}.{name}"


def check_function(function: object, what: str) -> None:
    """Check what is to be called when metrics are collected, which no event loop does.

    Raises:
        ConfigError: it is no function, or an async one.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ConfigError(f"{what} must be a function without arguments, and not async, got {function!r}")


class Histogram(BoundedMetric, prometheus_client.Histogram):
    """A histogram."""


class Summary(BoundedMetric, prometheus_client.Summary):
    """A summary."""


class Info(BoundedMetric, prometheus_client.Info):
    """An info.

    Attributes:
        default_labels: are in each info that has no such label of its own.
    """

    default_labels: Mapping[str, str] = {}

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Info:
        """Return the child for a label set."""
        child = super().labels(*labelvalues, **labelkwargs)
        child.default_labels = self.default_labels
        return child

    def info(self, val: Mapping[str, Any]) -> None:
        """Set the info; a value that is no text becomes one.

        Raises:
            ValueError: the names are none of labels, are those that the info has besides, or `labels()` comes first.
        """
        if self.has_labels_to_set:
            raise ValueError(f"{shown(self)} is missing label values: say for which, info.labels(…).info(…)")
        if not isinstance(val, Mapping):
            raise ValueError(f"{shown(self)} must get a dict of names and texts, got {val!r}")
        for name in val:
            if not is_label_name(name):
                raise ValueError(
                    f"{shown(self)} must have names of letters, digits and underscores, which begin with no digit "
                    f"and not with two underscores, got {name!r}"
                )
        texts: dict[str, Any] = {
            name: value if value is None else encodable(str(value)) for name, value in val.items()
        }
        super().info({**self.default_labels, **texts})


class Enum(BoundedMetric, prometheus_client.Enum):
    """A state out of several."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        states: Sequence[str],
        **options: Any,
    ) -> None:
        self.states = tuple(states)
        super().__init__(name, documentation, labelnames, states=states, **options)

    def state(self, state: str) -> None:
        """Set the state.

        Raises:
            ValueError: it is none of the metric's, or `labels()` comes first.
        """
        if not self.has_labels_to_set and state not in self.states:
            raise ValueError(f"{shown(self)} has the states {', '.join(self.states)}, got {state!r}")
        super().state(state)
