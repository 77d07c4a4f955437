"""The archive: what dead members have counted, added up in one file, so that neither time nor room grows with them.

It is replaced as a whole. One small file names the archive that counts and the members that are in it, and is
renamed into its place: whoever dies in the middle has changed nothing. It happens under the directory's lock.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable

import msgspec

from obs_middleware.workers.cells import DATED, Cells
from obs_middleware.workers.directory import Directory
from obs_middleware.workers.merge import Family, Merge
from obs_middleware.workers.reader import Reader

# The modes of gauges in which dead processes count, as prometheus-client has it, but for `sum` and `all`: what a dead
# process holds is free again.
_KEPT = ("max", "min", "mostrecent")


class Index(msgspec.Struct, frozen=True):
    """Which archive counts, and whom it holds whose files may still be there."""

    number: int = 0
    members: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()  # whose counts from before they have forked are in it

    @property
    def name(self) -> str | None:
        """Return the name of its files."""
        return f"archive{self.number}" if self.number else None


def read_index(directory: Directory) -> Index:
    """Return the index as it is; for whoever holds the lock."""
    try:
        return msgspec.json.decode((directory.path / "archive").read_bytes(), type=Index)
    except (FileNotFoundError, msgspec.DecodeError):
        return Index()


def fold(directory: Directory, dead: Iterable[str], *, parent: str | None = None) -> Index:
    """Add dead members to the archive and remove their files; for whoever holds the lock alone.

    Args:
        parent: the name of one of them that is a parent from before it has forked.
    """
    index = read_index(directory)
    left = [name for name in dead if name in index.members]
    new = [name for name in dead if name not in index.members]
    if new:
        names = [index.name] if index.name else []
        merge = Merge()
        merge.read([Reader(directory.path, name) for name in (*names, *new)])
        parents = index.parents if parent is None else (*index.parents, parent)
        old, index = index, Index(index.number + 1, (*left, *new), parents)
        _write(directory, str(index.name), merge)
        _replace(directory, index)
        for number in range(max(old.number - 1, 1), index.number):  # the one before may be left of a crash
            directory.remove(f"archive{number}")
    for name in (*left, *new):
        directory.remove(name)
    return index


def _write(directory: Directory, name: str, merge: Merge) -> None:
    directory.remove(name)  # of one who has died before it counted
    cells = Cells(directory.path / name)
    try:
        for number, family in enumerate(merge.families.values()):
            if family.key.type != "gauge" or family.key.mode in _KEPT:
                _write_family(cells, number, family, merge)
        for table in merge.tables.names:
            _write_table(cells, table, merge)
    finally:
        cells.close()


def _write_family(cells: Cells, number: int, family: Family, merge: Merge) -> None:
    key = family.key
    cells.note("f", number, key.name, key.type, family.documentation, key.label_names, key.mode)
    for suffix, le in family.slots:
        cells.note("s", number, suffix, le)
    for labels, values in _totals(family, merge):
        first = cells.reserve(len(values))
        cells.view(first or 0, len(values), "d")[:] = memoryview(array("d", values))
        cells.note(number, first, *labels)


def _totals(family: Family, merge: Merge) -> Iterable[tuple[tuple[str, ...], list[float]]]:
    readers = merge.readers.values()
    width = len(family.slots)
    for block in family.blocks:
        if family.key.type == "gauge":
            yield from _gauges(family, readers, block)
            continue
        numbers, values = family.sums(readers, block)
        for place, number in enumerate(numbers):
            yield family.labels[number], list(values[place * width : (place + 1) * width])


def _gauges(
    family: Family, readers: Iterable[Reader], block: range
) -> Iterable[tuple[tuple[str, ...], list[float]]]:
    best: dict[int, tuple[float, float]] = {}
    for _, number, value, dated in family.each(readers, block):
        best[number] = better(family.key.mode, best.get(number), (value, dated))
    is_dated = family.key.mode in DATED
    for number, (value, dated) in best.items():
        yield family.labels[number], [value, dated] if is_dated else [value]


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


def _write_table(cells: Cells, table: str, merge: Merge) -> None:
    rows = merge.tables.merged(merge.readers.values(), table)
    if not rows:
        return
    first = rows[0]
    width, sums_width = len(first.counts), len(first.sums)
    counts_at = cells.reserve(width * len(rows)) or 0
    sums_at = cells.reserve(sums_width * len(rows)) or 0
    counts = cells.view(counts_at, width * len(rows), "Q")
    sums = cells.view(sums_at, sums_width * len(rows), "d")
    cells.note("t", table, counts_at, sums_at, width, sums_width)
    for number, row in enumerate(rows):
        counts[number * width : (number + 1) * width] = memoryview(array("Q", row.counts))
        sums[number * sums_width : (number + 1) * sums_width] = memoryview(array("d", row.sums))
        cells.note("r", table, number, *row.labels)


def _replace(directory: Directory, index: Index) -> None:
    path = directory.path / "archive"
    new = path.with_name("archive.new")
    new.write_bytes(msgspec.json.encode(index))
    os.replace(new, path)
