"""The counts behind the HTTP histograms, in one table with a row for each label set.

An exchange is observed in all four histograms by one look-up and plain additions, where prometheus-client keeps an
object with a lock of its own for every bucket. How the table is shown is told in `shown.py`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, MutableSequence
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING

from obs_middleware import native

if TYPE_CHECKING:
    from obs_middleware.ledger import Entry

HISTOGRAMS = 4

Kind = tuple[str, "int | str | None", str]  # method, status, error: what many routes have in common

_example = Struct("<24sdd")  # the trace and the span ID, value, seconds since 1970


@native.core.laid_out
class Table:
    """How many in each bucket, not added up, and the sums behind them.

    Both are arrays, with 4 bytes for a bucket (8 once one has counted 4294967295), so that a label set takes some 300
    bytes and no object of its own; Python code alone adds to plain lists, 0.25 µs faster.

    Args:
        sizes: how many buckets each histogram has.
    """

    __slots__ = ("_exemplars", "cells", "counts", "firsts", "kinds", "known", "routes", "sums")

    def __init__(self, sizes: Iterable[int]) -> None:
        *firsts, self.cells = accumulate(sizes, initial=0)  # of a row
        self.firsts = tuple(firsts)  # where each histogram's begin there
        self.counts: MutableSequence[int] = array("I") if native.core.is_built else []
        self.sums: MutableSequence[float] = array("d") if native.core.is_built else []
        self.known: dict[Kind, dict[str, int]] = {}  # by route, the row: no key of its own for each
        self.kinds: list[Kind] = []  # of each row
        self.routes: list[str] = []
        self._exemplars: dict[int, Exemplars] = {}

    def __len__(self) -> int:
        return len(self.routes)

    def add(self, kind: Kind, route: str) -> int:
        """Return the row of labels that have none yet; for whoever has the ledger's turn."""
        row, rows = len(self.routes), self.known.setdefault(kind, {})
        kind = next((self.kinds[other] for other in rows.values()), kind)  # one tuple for all rows of a kind
        self.counts.extend([0] * self.cells)
        self.sums.extend([0.0] * HISTOGRAMS)
        self.kinds.append(kind)
        self.routes.append(route)  # last but for who looks it up: a page may be made meanwhile
        rows[route] = row
        return row

    def widen(self) -> MutableSequence[int]:
        """Return the counts, from now on with more room for each."""
        self.counts = array("Q", self.counts)
        return self.counts

    def example(self, row: int, entry: Entry, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets."""
        exemplars = self._exemplars.get(row)
        if exemplars is None:
            exemplars = self._exemplars[row] = Exemplars()
        exemplars.keep(entry, cells)

    def exemplars(self, row: int) -> Exemplars | None:
        """Return the exemplars of a row, if it has any."""
        return self._exemplars.get(row)


class Exemplars:
    """The exemplars of one row, 45 bytes each; a dictionary of tuples, texts and floats took four times as much."""

    __slots__ = ("_known", "_places")

    def __init__(self) -> None:
        self._places = ""  # the buckets that have one, a character for each, in the order of what is known
        self._known = bytearray()

    def keep(self, entry: Entry, cells: Mapping[int, float]) -> None:
        """Keep values as the exemplars of their buckets, in place of those before."""
        ids, known = bytes.fromhex(entry.ids), self._known
        for cell, value in cells.items():
            place = self._places.find(chr(cell))
            if place >= 0:
                _example.pack_into(known, place * _example.size, ids, value, entry.ended)
            else:
                known += _example.pack(ids, value, entry.ended)
                self._places += chr(cell)  # last: a page may be made meanwhile

    def of(self, cells: Iterable[int]) -> list[tuple[str, str, float, float] | None]:
        """Return trace ID, span ID, value and seconds since 1970 for each bucket; None where there is none."""
        return [self._one(self._places.find(chr(cell))) for cell in cells]

    def _one(self, place: int) -> tuple[str, str, float, float] | None:
        if place < 0:
            return None
        ids, value, seconds = _example.unpack_from(self._known, place * _example.size)
        return ids[:16].hex(), ids[16:].hex(), value, seconds
