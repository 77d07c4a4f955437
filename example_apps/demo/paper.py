"""Print for a person: headings, tables, ticks; with colour on a terminal only."""

import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TextIO

MARGIN = "   "
WIDTH = 110

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the tour says of itself, and whether it held."""

    text: str
    held: bool
    detail: str = ""  # what was seen instead


class Paper:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._sections = 0

    def heading(self, text: str) -> None:
        self._sections += 1
        self.line()
        self._write(self._styled(f"{self._sections}  {text}", "1"))

    def line(self, text: str = "") -> None:
        self._write(f"{MARGIN}{text}".rstrip())

    def block(self, text: str) -> None:
        """Print a long text over several lines."""
        for line in textwrap.wrap(text, WIDTH - len(MARGIN), break_on_hyphens=False):
            self.line(line)

    def table(
        self, header: Row, rows: Sequence[Row], *, right: Sequence[int] = (), longest: int = WIDTH
    ) -> None:
        """Print columns as wide as they need to be; those numbered in `right` end at the right.

        Cells of more than `longest` characters go on below.
        """
        lines = [line for row in rows for line in _lines_of(row, longest)]
        widths = [max(len(row[column]) for row in [header, *lines]) for column in range(len(header))]
        for number, row in enumerate([header, *lines]):
            cells = [
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            text = "  ".join(cells).rstrip()
            self.line(text if number else self._styled(text, "2"))

    def claim(self, claim: Claim) -> None:
        mark = ("✓", "32") if claim.held else ("✗", "31")
        detail = "" if claim.held or not claim.detail else f": {claim.detail}"
        self.line(f"{self._styled(self._known(*mark), mark[1])} {claim.text}{detail}")

    def _known(self, mark: str, colour: str) -> str:
        """Give a mark, or a word where the stream cannot encode it."""
        try:
            mark.encode(self._stream.encoding or "ascii")
        except UnicodeEncodeError:
            return "ok " if colour == "32" else "NOT"
        return mark

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._has_colour else text

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=self._stream, flush=True)


def _lines_of(row: Row, longest: int) -> Iterator[Row]:
    """Break the long cells of a row, which then takes several lines."""
    return zip_longest(
        *(textwrap.wrap(cell, longest, break_on_hyphens=False) or [""] for cell in row), fillvalue=""
    )
