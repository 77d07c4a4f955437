"""Reads what one member has written, each time only what is new: names once, numbers where they are."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from obs_middleware.workers import cells

_decode = msgspec.json.Decoder().decode


class Reader:
    """One member's files, or those of the archive.

    Attributes:
        name: of the member.
        doubles, integers: its cells as they are.
        is_dead: its process has ended, and there was no room yet to take it into the archive.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.is_dead = False
        self._path = folder / name
        self._read = 0  # bytes of names
        self._new = b""  # those that nobody has asked for yet
        self._map: memoryview = memoryview(b"")
        self.doubles: Any = self._map.cast("d")
        self.integers: Any = self._map.cast("Q")

    def fetch(self) -> None:
        """Take what there is now: the names first, then the cells, so that no series comes before its number.

        A number is read where it is, when it is asked for: by one load, as it was written by one store. A member that
        was killed while it joined lacks files, and has counted nothing.
        """
        with contextlib.suppress(FileNotFoundError), open(f"{self._path}.names", "rb") as file:
            file.seek(self._read)
            new = file.read()
            whole = new[: new.rfind(b"\n") + 1]  # a line that is not whole waits
            self._read += len(whole)
            self._new += whole
        self._remap()
        self.doubles = self._map.cast("d")
        self.integers = self._map.cast("Q")

    def new_lines(self) -> Iterator[list[Any]]:
        """Yield the names that were fetched since the last call."""
        lines, self._new = self._new.splitlines(), b""
        for line in lines:
            try:
                parts = _decode(line)
            except msgspec.DecodeError:  # its writer had no room left
                continue
            if isinstance(parts, list) and parts:
                yield parts

    def answered(self) -> float:
        """Return which call the member has answered last."""
        if not self._map:
            self._remap()
        return self._map.cast("d")[cells.ANSWERED] if self._map else 0.0

    def _remap(self) -> None:
        try:
            with open(f"{self._path}.cells", "rb") as file:
                size = os.fstat(file.fileno()).st_size // cells.CELL * cells.CELL
                if size != len(self._map):
                    self._map = memoryview(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ))
        except FileNotFoundError:  # as for the names
            return

    def exemplars(self) -> Iterator[tuple[int, dict[str, str], float, float | None]]:
        """Yield cell, labels, value and time of each exemplar."""
        try:
            with open(f"{self._path}.exemplars", "rb") as file:
                yield from cells.exemplars(file.read())
        except FileNotFoundError:  # the archive has none
            return
