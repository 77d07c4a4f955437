"""Tables over all members: the HTTP metrics, row by row."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import add
from typing import Any, NamedTuple, TypeVar

from obs_middleware.workers.exact_sum import exact_sum, rest_of
from obs_middleware.workers.reader import Reader

_Number = TypeVar("_Number", int, float)


class Row(NamedTuple):
    """A row of a table, added up over members."""

    labels: tuple[Any, ...]
    counts: Sequence[int]
    sums: Sequence[float]
    rests: Sequence[float] = ()  # what the exact sums have besides, where they are asked for


class _TablePart(NamedTuple):
    """A member's table, as it is now."""

    rows: Mapping[int, tuple[Any, ...]]
    width: int
    sums_width: int
    counts: Sequence[int]
    sums: Sequence[float]

    def order(self, numbers: Mapping[tuple[Any, ...], int]) -> list[int]:
        """Return the row for each number, -1 where there is none."""
        order = [-1] * len(numbers)
        for row, labels in self.rows.items():
            order[numbers[labels]] = row
        return order


class Tables:
    """The members' tables. One is found by its name, which also says what its cells are."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[int, tuple[Any, ...]]] = {}  # by member and table
        self.places: dict[tuple[str, str], tuple[int, int, int, int]] = {}  # counts, sums, how many in a row

    @property
    def names(self) -> set[str]:
        """Return the names of all tables."""
        return {table for _, table in self.places}

    def merged(self, readers: Iterable[Reader], table: str, *, has_rests: bool = False) -> list[Row]:
        """Return the rows of a table that somebody has counted in, added up over members."""
        parts = [part for reader in readers if (part := self._part(reader, table)) is not None]
        numbers: dict[tuple[Any, ...], int] = {}
        for part in parts:
            for labels in part.rows.values():
                numbers.setdefault(labels, len(numbers))
        if not numbers:
            return []
        width, sums_width = max(part.width for part in parts), parts[0].sums_width
        counts: Sequence[int] = [0] * (len(numbers) * width)
        columns: list[Sequence[float]] = []
        for part in parts:
            time.sleep(0)  # requests run meanwhile
            order = part.order(numbers)
            if part.counts:
                counts = list(map(add, counts, _in_order(part.counts, order, width)))
            columns.append(_in_order(part.sums, order, sums_width))
        sums = list(map(exact_sum, *columns))
        rests = list(map(rest_of, zip(*columns, strict=True))) if has_rests else []
        return [
            Row(
                labels,
                counts[n * width : (n + 1) * width],
                sums[n * sums_width : (n + 1) * sums_width],
                rests[n * sums_width : (n + 1) * sums_width],
            )
            for labels, n in numbers.items()
        ]

    def _part(self, reader: Reader, table: str) -> _TablePart | None:
        place, rows = self.places.get((reader.name, table)), self.rows.get((reader.name, table))
        if place is None or not rows:
            return None
        counts_at, sums_at, width, sums_width = place
        return _TablePart(
            rows,
            width,
            sums_width,
            reader.integers[counts_at : counts_at + len(rows) * width].tolist(),
            reader.doubles[sums_at : sums_at + len(rows) * sums_width].tolist(),
        )

    def forget(self, member: str) -> None:
        """Leave a member out from now on."""
        for by_member in (self.rows, self.places):
            for key in [key for key in by_member if key[0] == member]:
                del by_member[key]


def _in_order(numbers: Sequence[_Number], order: Sequence[int], width: int) -> list[_Number]:
    """Return rows in another order; those that are not there are 0."""
    if order == list(range(len(order))):
        return list(numbers)
    empty: list[Any] = [0] * width
    rows = [numbers[row * width : (row + 1) * width] if row >= 0 else empty for row in order]
    return list(chain.from_iterable(rows))
