"""An instrument of the HTTP server: the name of a metric, what it measures, its labels and its buckets.

It is a reading of the table, and counts nothing itself: it sums the rows whose labels are equal. So a request costs the
same, however many instruments there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from obs_middleware.label_names import may_be_added

# What the table measures, by place in a row.
DURATION, FIRST_BYTE, RECEIVED, SENT = range(4)

_OUTCOMES = frozenset(("client_disconnect", "cancelled", "incomplete", "overflow"))


_SEPARATOR = "\x1f"  # between a route and the labels behind it, in the text that the table keeps


def labelled(route: str, labels: tuple[tuple[str, str], ...]) -> str:
    """Return a route with labels as one text, which stands in the table where a route does."""
    parts = (part.replace(_SEPARATOR, " ") for pair in labels for part in pair)
    return _SEPARATOR.join((route, *parts))


def route_and_labels(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return what `labelled` was given; a text that it has not made is a route."""
    if _SEPARATOR not in text:
        return text, ()
    route, *parts = text.split(_SEPARATOR)
    names, values = parts[::2], parts[1::2]
    is_ours = len(names) == len(values) and all(map(may_be_added, names))
    return (route, tuple(zip(names, values, strict=True))) if is_ours else (text, ())


class Row(NamedTuple):
    """What the requests of one row of the table have in common, as texts.

    Attributes:
        status: as it was sent; empty where none was.
        error_type: by the rules of `error.type`; empty where there was no error.
        labels: names and values that a view or a tenant has added.
    """

    method: str
    route: str
    status: str
    error_type: str
    labels: tuple[tuple[str, str], ...] = ()


LabelValue = Callable[[Row], str]


class Instrument(msgspec.Struct, frozen=True):
    """A metric that is read from the table.

    Attributes:
        name: of the family, so that a counter's comes without `_total`.
        measure: DURATION and the like; a counter counts what has a duration.
        labels: the name of each label, and what tells its value of a row.
        bounds: upper bounds of a histogram's buckets, without infinity.
        has_own_labels: shows the labels that a view or a tenant has added.
        has_route_bounds: its bounds may differ by route.
        counts: which rows it counts.
    """

    name: str
    about: str
    kind: Literal["histogram", "counter", "summary"]
    measure: int
    labels: tuple[tuple[str, LabelValue], ...]
    bounds: tuple[float, ...] = ()
    has_own_labels: bool = False
    has_route_bounds: bool = False
    counts: Callable[[Row], bool] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the labels, without those that a view or a tenant has added."""
        return tuple(name for name, _ in self.labels)


class ActiveGauge(msgspec.Struct, frozen=True):
    """A gauge of the requests that are being served.

    Attributes:
        labels: the name of each label, and which it is, `method` or `scheme`; those that are left out are summed.
        constants: labels of one value.
    """

    name: str
    about: str
    labels: tuple[tuple[str, Literal["method", "scheme"]], ...]
    constants: tuple[tuple[str, str], ...] = ()

    def values(self, method: str, scheme: str) -> tuple[str, ...]:
        """Return the values of the labels, constants last."""
        own = (method if kind == "method" else scheme for _, kind in self.labels)
        return *own, *(value for _, value in self.constants)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the labels, constants last."""
        return *(name for name, _ in self.labels), *(name for name, _ in self.constants)


def method(row: Row) -> str:
    """Return the known method or `_OTHER`."""
    return row.method


def route(row: Row) -> str:
    """Return the route's template, empty where none was matched."""
    return row.route


def status(row: Row) -> str:
    """Return the status, empty where none was sent."""
    return row.status


def status_class(row: Row) -> str:
    """Return the class of the status, such as `2xx`."""
    return _class_of(row.status)


def error_type(row: Row) -> str:
    """Return the `error.type`, empty where there was no error."""
    return row.error_type


def error_class(row: Row) -> str:
    """Return the `error.type`, or the class of the status that it is."""
    return _class_of(row.error_type)


def _class_of(status: str) -> str:
    return f"{status[0]}xx" if len(status) == 3 and status.isdecimal() else status


def is_exception(row: Row) -> bool:
    """Tell whether the requests of a row have failed with an exception."""
    return row.error_type not in _OUTCOMES and bool(row.error_type) and not row.error_type.isdecimal()


def constant(value: str) -> LabelValue:
    """Return what tells the same value of every row."""
    return lambda _: value


def few(bounds: Sequence[float]) -> tuple[float, ...]:
    """Return two of the bounds, at a third and at two thirds; all where they are few."""
    return (
        tuple(bounds) if len(bounds) <= 2 else (bounds[(len(bounds) - 1) // 3], bounds[len(bounds) * 2 // 3])
    )
