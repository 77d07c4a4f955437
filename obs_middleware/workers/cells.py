"""Where a process keeps its numbers for the others: a file of cells, a file of their names, a file of exemplars.

A cell has 8 bytes and is written by one store, so that no reader sees half a number, whenever its writer dies. The
names are lines of JSON that are only added to. A name is written before its cell has a value. Exemplars are
records of one length with a checksum.

    ["f", family, name, type, documentation, label names, mode]: a metric
    ["s", family, suffix, le]: what each series of it has, in the order of its cells
    [family, first cell, label value, ...]: a series
    ["t", table, cell of its counts, of its sums, counts of a row, sums of a row]: where a table is from now on
    ["r", table, row, label value, ...]: a row of a table
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from threading import RLock
from typing import Any

import msgspec

from obs_middleware.encodable import encodable

CELL = 8  # bytes
ABSENT = (
    -1.7976931348623157e308
)  # what a cell holds whose series was removed; nobody measures the lowest double
FIRST = 8  # cells before it are ours: the first is always 0
ANSWERED = 1  # the cell that says which call was answered last
DATED = ("mostrecent", "livemostrecent")  # modes of gauges that have a second cell: when they were set
TABLE = 1 << 62  # added to the cell of an exemplar that belongs to a table

_SMALLEST = 4096  # cells of a new file
_head = Struct("<IIQdd")  # checksum, length of the labels, cell, value, seconds since 1970 (negative: none)
_RECORD = 192
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Cells:
    """The cells of this process. Several threads may ask for more of them at once.

    Raises:
        OSError: there is no room, at the beginning or for more of them.
    """

    def __init__(self, path: Path) -> None:
        self._file = self._names = self._exemplars = -1
        self._places: dict[int, int] = {}  # of exemplars, by cell
        self._size = 0  # cells
        self._used = FIRST
        self._is_line_broken = False
        self._lock = RLock()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._file = os.open(path.with_name(path.name + ".cells"), flags, 0o600)
            self._names = os.open(path.with_name(path.name + ".names"), flags | os.O_APPEND, 0o600)
            self._exemplars = os.open(path.with_name(path.name + ".exemplars"), flags, 0o600)
            self._grow(_SMALLEST)
        except BaseException:
            self.close()
            raise

    def reserve(self, count: int) -> int:
        """Return the first of some cells that nobody has."""
        with self._lock:
            while self._used + count > self._size:
                self._grow(max(2 * self._size, self._used + count))
            first, self._used = self._used, self._used + count
            return first

    def _grow(self, size: int) -> None:
        empty = bytes(1 << 16)
        for start in range(self._size * CELL, size * CELL, len(empty)):
            piece = empty[: size * CELL - start]
            if os.pwrite(self._file, piece, start) < len(
                piece
            ):  # a hole would end the process when it is written
                raise OSError(f"no room for {size} cells")
        self._map = memoryview(mmap.mmap(self._file, size * CELL))
        self.doubles = self._map.cast("d")
        self._size = size

    def view(self, first: int, count: int, kind: str) -> memoryview[Any]:
        """Return some cells as an array of doubles ("d") or whole numbers ("Q")."""
        return self._map[first * CELL : (first + count) * CELL].cast(kind)  # type: ignore[call-overload,no-any-return]

    def note(self, *line: Any) -> None:
        """Write a line of names."""
        text = _encode([encodable(part) if isinstance(part, str) else part for part in line]) + b"\n"
        with self._lock:
            if self._is_line_broken:
                text = b"\n" + text
            self._is_line_broken = True
            self._is_line_broken = os.write(self._names, text) < len(text)
            if self._is_line_broken:
                raise OSError("no room for the names of metrics")

    def keep_exemplar(
        self, cell: int, labels: Mapping[str, str], value: float, seconds: float | None
    ) -> None:
        """Keep an exemplar in place of the one before; too long ones are left out."""
        text = _encode(labels)
        if len(text) > _RECORD - _head.size:
            return
        body = _head.pack(0, len(text), cell, value, -1.0 if seconds is None else seconds)[4:] + text
        body = body.ljust(_RECORD - 4, b"\0")
        record = zlib.crc32(body).to_bytes(4, "little") + body
        with self._lock:
            place = self._places.setdefault(cell, len(self._places))
            os.pwrite(self._exemplars, record, place * _RECORD)

    def close(self) -> None:
        """Close the files; what is mapped stays, because others may hold cells. A later line is an OSError."""
        with self._lock:
            descriptors = self._file, self._names, self._exemplars
            self._file = self._names = self._exemplars = -1  # these numbers are soon files of the app's
            for descriptor in descriptors:
                if descriptor >= 0:
                    os.close(descriptor)


def exemplars(records: bytes) -> Iterator[tuple[int, dict[str, str], float, float | None]]:
    """Yield cell, labels, value and time of each exemplar that is whole."""
    for start in range(0, len(records) - _RECORD + 1, _RECORD):
        checksum, length, cell, value, seconds = _head.unpack_from(records, start)
        if checksum != zlib.crc32(records[start + 4 : start + _RECORD]):
            continue
        labels = _decode(records[start + _head.size : start + _head.size + length])
        yield cell, labels, value, None if seconds < 0 else seconds
