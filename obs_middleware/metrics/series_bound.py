"""Which label sets one metric has.

A value that is not allowed becomes `other`. Past the cap, every further label set is counted in one whose values are
all `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from obs_middleware.encodable import encodable
from obs_middleware.fork_lock import ForkLock

OTHER = "other"

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
