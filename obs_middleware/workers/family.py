"""One metric over all members: which series there are, and what each is.

Names are read once. Then a scrape is a few calls into C for some dozens of series of each member, because the places
of their cells are kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import add, itemgetter

from obs_middleware.workers.cells import ABSENT, DATED
from obs_middleware.workers.exact_sum import exact_sum, rest_of
from obs_middleware.workers.names import Key, Labels, Slot
from obs_middleware.workers.reader import Reader

BLOCK = 64  # series that are added up at a time


class _Part:
    """One member's part of a family."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.first_cells = array("q")  # by the number of the series; 0 where the member has none

    def cells_of(self, slots: Sequence[Slot], numbers: Iterable[int], width: int) -> list[int]:
        """Return the cells of some series in the order of slots; 0, where a 0 is, for what it has not."""
        own = {slot: place * width for place, slot in enumerate(self.slots)}
        places = [own.get(slot, -1) for slot in slots]
        known = len(self.first_cells)
        firsts = [self.first_cells[number] if number < known else 0 for number in numbers]
        return [first + place if first and place >= 0 else 0 for first in firsts for place in places]


class Family:
    """One metric over all members.

    Attributes:
        labels: the label values of each series, by its number.
        slots: what each series has.
        texts: what readers of a family keep of each series, by its number.
    """

    def __init__(self, key: Key, documentation: str) -> None:
        self.key = key
        self.documentation = documentation
        self.texts: list[str] = []
        self.slots: list[Slot] = []
        self.labels: list[Labels] = []
        self._numbers: dict[Labels, int] = {}
        self._parts: dict[str, _Part] = {}
        self._getters: dict[tuple[str, int], Callable[[Sequence[float]], Sequence[float]]] = {}
        self._width = 2 if key.mode in DATED else 1
        self._is_unsure = (
            False  # whether a member has left since somebody has looked for series that are nobody's
        )
        self._has_gaps = False

    def begin_anew(self, member: str) -> None:
        """Forget what a member has had: it declares the metric again, because it had no room to do so."""
        if member in self._parts:
            self.forget(member)

    def add_slot(self, member: str, slot: Slot) -> None:
        """Note that each series of a member has this, behind those before."""
        self._part(member).slots.append(slot)
        if slot not in self.slots:
            self.slots.append(slot)
        self._getters.clear()

    def add_series(self, member: str, labels: Labels, first_cell: int) -> None:
        """Note where a series of a member is."""
        number = self._numbers.get(labels)
        if number is None:
            number = self._numbers[labels] = len(self.labels)
            self.labels.append(labels)
        cells = self._part(member).first_cells
        cells.extend([0] * (number + 1 - len(cells)))
        cells[number] = first_cell
        self._getters.pop((member, number // BLOCK), None)

    def forget(self, member: str) -> None:
        """Leave a member out from now on."""
        if self._parts.pop(member, None) is not None:
            self._is_unsure = True
            for key in [key for key in self._getters if key[0] == member]:
                del self._getters[key]

    @property
    def blocks(self) -> Iterator[range]:
        """Yield the numbers of the series, some at a time."""
        for start in range(0, len(self.labels), BLOCK):
            yield range(start, min(start + BLOCK, len(self.labels)))

    def sums(self, readers: Iterable[Reader], numbers: range) -> tuple[list[int], Sequence[float]]:
        """Return which series there are among some, and what all members together have in their slots."""
        columns, has_gaps = self._columns(readers, numbers)
        total: Sequence[float] = [0.0] * (len(numbers) * len(self.slots))
        for values in columns:
            total = list(map(add, total, values))
        for slot in self._inexact_slots(*columns):
            total[slot :: len(self.slots)] = map(exact_sum, *self._of_slot(columns, slot))  # type: ignore[index]
        return self._those_of(numbers, total, readers) if has_gaps else (list(numbers), total)

    def rests(self, readers: Iterable[Reader], numbers: range) -> Mapping[int, list[float]]:
        """Return by series what its exact sums have besides those that `sums` returns, where that is anything."""
        columns, _ = self._columns(readers, numbers)
        width = len(self.slots)
        rests: dict[int, list[float]] = {}
        for slot in self._inexact_slots(*columns):
            for place, values in enumerate(zip(*self._of_slot(columns, slot), strict=True)):
                if rest := rest_of(values):
                    rests.setdefault(numbers[place], [0.0] * width)[slot] = rest
        return rests

    def _columns(self, readers: Iterable[Reader], numbers: range) -> tuple[list[Sequence[float]], bool]:
        """Return what each member has in the slots of some series, and whether some of these may be nobody's."""
        columns: list[Sequence[float]] = []
        has_gaps = self._look_for_gaps()
        for reader in readers:
            values = self.values(reader, numbers)
            if ABSENT in values:
                has_gaps = True
                values = [0.0 if value == ABSENT else value for value in values]
            if values:
                columns.append(values)
        return columns, has_gaps

    def _inexact_slots(self, *columns: Sequence[float]) -> list[int]:
        """Return the slots whose sums depend on the order of addition: those of numbers that are not all whole.

        A counter that is added up in another order, because a member is in the archive now, could go back by the last
        bit, and look like a reset.
        """
        width = len(self.slots)
        return [
            slot
            for slot, (_, le) in enumerate(self.slots)
            if le is None
            and not all(map(float.is_integer, chain(*(values[slot::width] for values in columns))))
        ]

    def _of_slot(self, columns: Iterable[Sequence[float]], slot: int) -> list[Sequence[float]]:
        return [values[slot :: len(self.slots)] for values in columns]

    def _look_for_gaps(self) -> bool:
        """Tell whether a series was known of members alone that have left."""
        if self._is_unsure:
            owned = bytearray(len(self.labels))
            for part in self._parts.values():
                for number, first in enumerate(part.first_cells):
                    if first:
                        owned[number] = 1
            self._has_gaps, self._is_unsure = 0 in owned, False
        return self._has_gaps

    def _those_of(
        self, numbers: range, total: Sequence[float], readers: Iterable[Reader]
    ) -> tuple[list[int], list[float]]:
        seen: set[int] = set()
        for reader in readers:
            seen.update(self._present(reader, numbers, self.values(reader, numbers)))
        left = [number for number in numbers if number in seen]
        width, start = len(self.slots), numbers.start
        return left, [
            value
            for number in left
            for value in total[(number - start) * width : (number - start + 1) * width]
        ]

    def values(self, reader: Reader, numbers: range) -> Sequence[float]:
        """Return what a member has in the slots of some series, 0 for those that it lacks; nothing if it has left."""
        key = reader.name, numbers.start // BLOCK
        is_whole = len(numbers) == BLOCK  # one that is not may grow
        get = self._getters.get(key) if is_whole else None
        if get is None:
            part = self._parts.get(reader.name)
            if part is None or not self.slots:
                return ()
            get = _getter(part.cells_of(self.slots, numbers, self._width))
            if is_whole:
                self._getters[key] = get
        return get(reader.doubles)

    def each(self, readers: Iterable[Reader], numbers: range) -> Iterator[tuple[Reader, int, float, float]]:
        """Yield the member, the series, its value and when it was set, for all that members have; for gauges."""
        for reader in readers:
            values = self.values(reader, numbers)
            part = self._part(reader.name) if self._width == 2 and values else None
            for number in self._present(reader, numbers, values):
                dated = 0.0 if part is None else reader.doubles[part.first_cells[number] + 1]
                yield reader, number, values[number - numbers.start], dated

    def _present(self, reader: Reader, numbers: range, values: Sequence[float]) -> list[int]:
        part = self._parts.get(reader.name)
        if part is None or not values:
            return []
        firsts, width = part.first_cells, len(self.slots)
        return [
            number
            for number in numbers
            if number < len(firsts) and firsts[number] and values[(number - numbers.start) * width] != ABSENT
        ]

    def cells(self, member: str) -> Iterator[tuple[int, int, int]]:
        """Yield for each series of a member its first cell, the one behind its last, and its number."""
        part = self._parts.get(member)
        if part is not None:
            size = len(part.slots) * self._width
            yield from (
                (first, first + size, number) for number, first in enumerate(part.first_cells) if first
            )

    def slot_of(self, member: str, place: int) -> int:
        """Return which slot is at a place of a member's series, counted in cells."""
        return self.slots.index(self._parts[member].slots[place // self._width])

    def has(self, member: str) -> bool:
        """Tell whether a member has a part in it."""
        return member in self._parts

    def _part(self, member: str) -> _Part:
        return self._parts.setdefault(member, _Part())


def _getter(cells: Sequence[int]) -> Callable[[Sequence[float]], Sequence[float]]:
    if len(cells) == 1:
        (only,) = cells
        return lambda doubles: (doubles[only],)
    return itemgetter(*cells)
