"""Tables and numbers as Markdown shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [head, [":--", *("--:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(got: float | None, *, digits: int = 1) -> str:
    """Return a number as the tables show it."""
    if got is None:
        return "–"
    return f"{got:.0f}" if abs(got) >= 100 or got == int(got) else f"{got:.{digits}f}"
