"""Finding: what one check has found, in a line, and what cures it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Status = Literal["pass", "warn", "fail", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """What one check has found.

    Attributes:
        check: its name, the same in each run.
        reason: one line that says what was seen.
        cure: what to do; empty where nothing is wrong.
    """

    check: str
    status: Status
    reason: str
    cure: str = ""


def passed(check: str, reason: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "pass", reason)


def warned(check: str, reason: str, cure: str) -> Finding:
    """Return what works, and could be better."""
    return Finding(check, "warn", reason, cure)


def failed(check: str, reason: str, cure: str) -> Finding:
    """Return what is wrong."""
    return Finding(check, "fail", reason, cure)


def skipped(check: str, reason: str, cure: str = "") -> Finding:
    """Return what could not be seen from here."""
    return Finding(check, "skipped", reason, cure)


def some(names: Iterable[str], *, most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
