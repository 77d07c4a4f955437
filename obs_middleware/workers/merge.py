"""Merges what many members have: their metrics, their tables, and the newest exemplars."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from obs_middleware.workers.cells import TABLE
from obs_middleware.workers.family import Family
from obs_middleware.workers.names import Key
from obs_middleware.workers.reader import Reader
from obs_middleware.workers.tables import Tables

_LINES = 200  # names that are read at a time

Exemplar = tuple[dict[str, str], float, "float | None"]  # labels, value, seconds since 1970
TableExemplar = tuple[int, dict[str, str], float, "float | None"]  # the same behind its cell


class Merge:
    """All that the members have."""

    def __init__(self) -> None:
        self.families: dict[Key, Family] = {}
        self.tables = Tables()
        self.readers: dict[str, Reader] = {}
        self._by_number: dict[str, dict[int, Family]] = {}  # by member
        self._owners: dict[
            str, dict[int, tuple[Family, int, int]]
        ] = {}  # of cells with an exemplar, by member

    def read(self, readers: Iterable[Reader]) -> None:
        """Read what is new of these members, and forget all others."""
        readers = list(readers)
        for reader in readers:
            reader.fetch()
        self.take(readers)

    def take(self, readers: Iterable[Reader], *, pauses: bool = False) -> None:
        """Take in what was fetched of these members, and forget all others.

        Args:
            pauses: let requests run from time to time; for who holds no lock that others wait for.
        """
        new = {reader.name: reader for reader in readers}
        for gone in self.readers.keys() - new.keys():
            self._forget(gone)
        self.readers = new
        for reader in new.values():
            for number, line in enumerate(reader.new_lines()):
                self._take(reader.name, line)
                if pauses and number % _LINES == 0:
                    time.sleep(0)

    def exemplars(self) -> tuple[dict[Key, dict[tuple[int, int], Exemplar]], dict[str, list[TableExemplar]]]:
        """Return the newest exemplar of each number: of families by series and slot, of tables by member."""
        by_family: dict[Key, dict[tuple[int, int], Exemplar]] = {}
        by_member: dict[str, list[TableExemplar]] = {}
        for reader in self.readers.values():
            time.sleep(0)  # requests run meanwhile
            found = list(reader.exemplars())
            by_member[reader.name] = [(one[0] - TABLE, *one[1:]) for one in found if one[0] >= TABLE]
            owners = self._owners_of(reader.name, {one[0] for one in found if one[0] < TABLE})
            for cell, labels, value, seconds in found:
                if cell in owners:
                    family, number, slot = owners[cell]
                    kept = by_family.setdefault(family.key, {})
                    before = kept.get((number, slot))
                    if before is None or (before[2] or 0.0) <= (seconds or 0.0):
                        kept[number, slot] = labels, value, seconds
        return by_family, by_member

    def _owners_of(self, member: str, cells: set[int]) -> dict[int, tuple[Family, int, int]]:
        """Return the family, series and slot of cells of a member; each is looked for once, because it stays."""
        owners = self._owners.setdefault(member, {})
        wanted = sorted(cells - owners.keys())
        for family in self.families.values() if wanted else ():
            for first, end, number in family.cells(member):
                for cell in wanted[bisect_left(wanted, first) : bisect_left(wanted, end)]:
                    owners[cell] = family, number, family.slot_of(member, cell - first)
        return owners

    def _take(self, member: str, line: list[Any]) -> None:
        by_number = self._by_number.setdefault(member, {})
        match line:
            case ["f", number, name, kind, documentation, label_names, mode]:
                key = Key(name, kind, tuple(label_names), mode)
                family = by_number[number] = self.families.setdefault(key, Family(key, documentation))
                family.begin_anew(member)
            case ["s", number, suffix, le]:
                by_number[number].add_slot(member, (suffix, le))
            case ["t", table, counts, sums, width, sums_width]:
                self.tables.places[member, table] = counts, sums, width, sums_width
            case ["r", table, row, *labels]:
                self.tables.rows.setdefault((member, table), {})[row] = tuple(labels)
            case [number, first_cell, *labels] if number in by_number:
                by_number[number].add_series(member, tuple(labels), first_cell)
            case _:  # of another release
                pass

    def _forget(self, member: str) -> None:
        self._by_number.pop(member, None)
        self._owners.pop(member, None)
        self.tables.forget(member)
        for family in self.families.values():
            family.forget(member)
