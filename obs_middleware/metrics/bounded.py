"""prometheus-client's metrics with a bound on their series: `labels()` is all that differs from its own classes.

A value that is not allowed becomes `other`. Past the cap, every further label set is counted in one whose values are
all `other`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

from obs_middleware.encodable import encodable
from obs_middleware.errors import ConfigError
from obs_middleware.fork_lock import ForkLock
from obs_middleware.metrics.naming import is_label_name

OTHER = "other"

_T = TypeVar("_T", bound="BoundedMetric")
_LabelValues = tuple[str, ...]


class SeriesBound:
    """Which label sets one metric has.

    Args:
        labelnames: those that the user declares.
        default_values: stand before the user's in each label set.
        allowed: the values that a label may have; any other is `other`.
        max_series: label sets that are kept.
        count_overflow: is called for each use of a label set past the cap.

    Attributes:
        children: by its values each label set that is kept; None while it is being made.
    """

    def __init__(
        self,
        labelnames: Sequence[str],
        *,
        default_values: _LabelValues,
        allowed: Mapping[str, Collection[str]],
        max_series: int,
        count_overflow: Callable[[], object],
    ) -> None:
        self.default_values = default_values
        self._labelnames = tuple(labelnames)
        self._allowed = {self._labelnames.index(name): frozenset(map(str, allowed[name])) for name in allowed}
        self._max_series = max_series
        self._count_overflow = count_overflow
        self._overflow = (OTHER,) * len(self._labelnames)
        self.children: dict[tuple[object, ...], Any] = {}
        self._overflow_child: Any = None
        self._adding = ForkLock()

    @property
    def cap(self) -> tuple[int, _LabelValues]:
        """Return how many label sets are kept, and the one that counts the others."""
        return self._max_series, (*self.default_values, *self._overflow)

    def placed(self, positional: tuple[object, ...], named: Mapping[str, object]) -> tuple[object, ...]:
        """Return the values that are given, in their order.

        Raises:
            ValueError: the labels are not those of the metric, as prometheus-client has it.
        """
        names = self._labelnames
        if not named and len(positional) == len(names):
            return positional
        if positional or len(named) != len(names) or not named.keys() <= {*names}:
            given = ", ".join(named) or f"{len(positional)} values"
            raise ValueError(
                f"the labels are {', '.join(names)}: give all by place or all by name, got {given}"
            )
        return tuple([named[name] for name in names])

    def values(self, given: tuple[object, ...]) -> _LabelValues:
        """Return the values to count under, without the default ones."""
        values = label_values(given)
        if self._allowed:
            values = tuple(self._allowed_value(place, value) for place, value in enumerate(values))
        if values not in self.children and not self._has_room(values):
            self._count_overflow()
            return self._overflow
        return values

    def keep(self, values: _LabelValues, child: object) -> None:
        """Keep the child of a label set, unless that was removed meanwhile."""
        if values in self.children:
            self.children[values] = child
        elif values == self._overflow:
            self._overflow_child = child

    def forget(self, is_gone: Callable[[tuple[object, ...]], bool]) -> list[Any]:
        """Make room again, because label sets were removed; return their children."""
        with self._adding:
            gone = [self.children.pop(values, None) for values in [*self.children] if is_gone(values)]
            if is_gone(self._overflow):
                gone.append(self._overflow_child)
                self._overflow_child = None
        return [child for child in gone if child is not None]

    def forget_matching(self, labels: Mapping[str, object]) -> list[Any]:
        """Do the same for label sets that have these values."""
        wanted = {
            self._labelnames.index(name): str(labels[name]) for name in labels if name in self._labelnames
        }
        return self.forget(lambda values: all(values[place] == value for place, value in wanted.items()))

    def _allowed_value(self, place: int, value: str) -> str:
        allowed = self._allowed.get(place)
        return value if allowed is None or value in allowed else OTHER

    def _has_room(self, values: _LabelValues) -> bool:
        with self._adding:
            if len(self.children) < self._max_series:
                self.children.setdefault(values, None)
        return values in self.children


def label_values(given: tuple[object, ...]) -> _LabelValues:
    """Return values of labels as texts that every page can show."""
    return tuple([encodable(str(value)) for value in given])


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
