"""The archive: what dead members have counted, added up, so that neither time nor room grows with them.

It is replaced as a whole. One small file names the archive that counts and the members that are in it, and is
renamed into its place: whoever dies in the middle has changed nothing. It happens under the directory's lock.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from operator import add
from typing import Any, NamedTuple

import msgspec

from obs_middleware.workers.cells import DATED, Cells
from obs_middleware.workers.directory import Directory
from obs_middleware.workers.family import Family
from obs_middleware.workers.merge import Merge
from obs_middleware.workers.reader import Reader

# The modes of gauges in which dead processes count, as prometheus-client has it, but for `sum` and `all`: what a dead
# process holds is free again.
KEPT = ("max", "min", "mostrecent")


class Index(msgspec.Struct, frozen=True):
    """Which archive counts, and whom it holds whose files may still be there."""

    number: int = 0
    members: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()  # whose counts from before they have forked are in it

    @property
    def names(self) -> list[str]:
        """Return the names of its two files: numbers, and what exact sums have besides."""
        return _names(self.number) if self.number else []


class Cap(NamedTuple):
    """How many label sets of a metric are kept, so that clients do not fill it, one worker after the other.

    Attributes:
        overflow: the label set that counts what the others have counted.
    """

    most: int
    overflow: tuple[Any, ...]


Caps = Callable[[], Mapping[str, Cap]]  # by the name of the metric or of the table


def _names(number: int) -> list[str]:
    return [f"archive{number}", f"archive{number}.rest"]


def read_index(directory: Directory) -> Index:
    """Return the index as it is; for whoever holds the lock."""
    try:
        return msgspec.json.decode((directory.path / "archive").read_bytes(), type=Index)
    except (FileNotFoundError, msgspec.DecodeError):
        return Index()


def fold(directory: Directory, dead: Iterable[str], caps: Caps = dict, *, parent: str | None = None) -> Index:
    """Add dead members to the archive and remove their files; for whoever holds the lock alone.

    Args:
        caps: returns the bounds of the metrics that have one.
        parent: the name of one of them that is a parent from before it has forked.

    Raises:
        OSError: there is no room; nothing has changed.
    """
    index = read_index(directory)
    left = [name for name in dead if name in index.members]
    new = [name for name in dead if name not in index.members]
    if new:
        merge = Merge()
        merge.read([Reader(directory.path, name) for name in (*index.names, *new)])
        parents = index.parents if parent is None else (*index.parents, parent)
        old, index = index, Index(index.number + 1, (*left, *new), parents)
        directory.remove(f"archive{index.number}")  # of one who has died before it counted
        try:
            with ExitStack() as opened:
                numbers, rests = (
                    opened.enter_context(closing(Cells(directory.path / name))) for name in index.names
                )
                _Writer(numbers, rests, caps()).write(merge)
            _replace(directory, index)
        except OSError:
            directory.remove(f"archive{index.number}")
            raise
        for number in range(max(old.number - 1, 1), index.number):  # the one before may be left of a crash
            directory.remove(f"archive{number}")
    for name in (*left, *new):
        directory.remove(name)
    return index


class _Writer:
    """Writes what many members have as if one had it."""

    def __init__(self, numbers: Cells, rests: Cells, caps: Mapping[str, Cap]) -> None:
        self._numbers = numbers
        self._rests = rests
        self._caps = caps

    def write(self, merge: Merge) -> None:
        for number, family in enumerate(merge.families.values()):
            if family.key.type != "gauge":
                self._write_sums(number, family, merge)
            elif family.key.mode in KEPT:
                self._write_gauges(number, family, merge)
        for table in merge.tables.names:
            self._write_table(table, merge)

    def _write_sums(self, number: int, family: Family, merge: Merge) -> None:
        readers, width = list(merge.readers.values()), len(family.slots)
        kept: dict[tuple[str, ...], list[float]] = {}
        rests: dict[tuple[str, ...], list[float]] = {}
        for block in family.blocks:
            found, values = family.sums(readers, block)
            of_rests = family.rests(readers, block)
            for place, series in enumerate(found):
                labels = self._within(family.key.name, family.labels[series], kept)
                _add_to(kept, labels, values[place * width : (place + 1) * width])
                if series in of_rests:
                    _add_to(rests, labels, of_rests[series])
        _write_series(self._numbers, number, family, kept)
        if rests:
            _write_series(self._rests, number, family, rests)

    def _write_gauges(self, number: int, family: Family, merge: Merge) -> None:
        best: dict[tuple[str, ...], tuple[float, float]] = {}
        for block in family.blocks:
            for _, series, value, dated in family.each(merge.readers.values(), block):
                labels = self._within(family.key.name, family.labels[series], best)
                best[labels] = better(family.key.mode, best.get(labels), (value, dated))
        is_dated = family.key.mode in DATED
        kept = {labels: [*both] if is_dated else [both[0]] for labels, both in best.items()}
        _write_series(self._numbers, number, family, kept)

    def _write_table(self, table: str, merge: Merge) -> None:
        rows = merge.tables.merged(merge.readers.values(), table, has_rests=True)
        counts: dict[tuple[Any, ...], list[int]] = {}
        sums: dict[tuple[Any, ...], list[float]] = {}
        rests: dict[tuple[Any, ...], list[float]] = {}
        for row in rows:
            labels = self._within(table, row.labels, counts)
            _add_to(counts, labels, row.counts)
            _add_to(sums, labels, row.sums)
            if any(row.rests):
                _add_to(rests, labels, row.rests)
        if rows:
            _write_rows(self._numbers, table, counts, sums)
        if rests:
            _write_rows(self._rests, table, dict.fromkeys(rests, ()), rests)

    def _within(self, name: str, labels: tuple[Any, ...], kept: Mapping[tuple[Any, ...], object]) -> Any:
        """Return the label set to count under: another one where there are too many."""
        cap = self._caps.get(name)
        if cap is None or labels in kept or len(kept) < cap.most or len(labels) != len(cap.overflow):
            return labels
        return cap.overflow


def _add_to(kept: dict[Any, list[Any]], labels: tuple[Any, ...], values: Sequence[float]) -> None:
    before = kept.get(labels)
    kept[labels] = [*values] if before is None else [*map(add, before, values)]


def _write_series(
    cells: Cells, number: int, family: Family, kept: Mapping[tuple[str, ...], list[float]]
) -> None:
    key = family.key
    cells.note("f", number, key.name, key.type, family.documentation, key.label_names, key.mode)
    for suffix, le in family.slots:
        cells.note("s", number, suffix, le)
    for labels, values in kept.items():
        first = cells.reserve(len(values))
        cells.view(first, len(values), "d")[:] = memoryview(array("d", values))
        cells.note(number, first, *labels)


def _write_rows(
    cells: Cells,
    table: str,
    counts: Mapping[tuple[Any, ...], Sequence[int]],
    sums: Mapping[tuple[Any, ...], Sequence[float]],
) -> None:
    width, sums_width = len(next(iter(counts.values()))), len(next(iter(sums.values())))
    counts_at, sums_at = cells.reserve(width * len(sums)), cells.reserve(sums_width * len(sums))
    cells.note("t", table, counts_at, sums_at, width, sums_width)
    for row, labels in enumerate(sums):
        if width:
            cells.view(counts_at + row * width, width, "Q")[:] = memoryview(array("Q", counts[labels]))
        cells.view(sums_at + row * sums_width, sums_width, "d")[:] = memoryview(array("d", sums[labels]))
        cells.note("r", table, row, *labels)


def better(mode: str, before: tuple[float, float] | None, now: tuple[float, float]) -> tuple[float, float]:
    """Return which of two values, each with its time, a gauge of this mode shows."""
    if before is None:
        return now
    if mode.endswith("max"):
        return max(before, now)
    if mode.endswith("min"):
        return min(before, now)
    return max(before, now, key=_time)


def _time(dated: tuple[float, float]) -> float:
    return dated[1]


def _replace(directory: Directory, index: Index) -> None:
    path = directory.path / "archive"
    new = path.with_name("archive.new")
    new.write_bytes(msgspec.json.encode(index))
    os.replace(new, path)
