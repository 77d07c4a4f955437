"""The report of a run: aligned lines for people, coloured on a terminal; JSON for programs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

import msgspec

from obs_middleware.cli.arguments import printable
from obs_middleware.cli.doctor.finding import Finding, Status

_COLOURS = {"pass": "32", "warn": "33", "fail": "31", "skipped": "2"}
_WORDS: tuple[tuple[Status, str], ...] = (
    ("pass", "passed"),
    ("warn", "warned"),
    ("fail", "failed"),
    ("skipped", "skipped"),
)


def is_well(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing has failed."""
    return all(one.status != "fail" for one in findings)


def as_json(address: str, findings: Sequence[Finding]) -> str:
    """Return the report for programs."""
    content = {
        "address": address,
        "status": "pass" if is_well(findings) else "fail",
        "findings": [msgspec.to_builtins(one) for one in findings],
    }
    return json.dumps(content, indent=2) + "\n"


def as_text(address: str, findings: Sequence[Finding], *, is_coloured: bool) -> str:
    """Return the report for people."""
    lines = [f"{address}", "", *_lines(findings, is_coloured), "", _summary(findings)]
    return "".join(f"{line}\n" for line in lines)


def takes_colours(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal whose user wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _lines(findings: Sequence[Finding], is_coloured: bool) -> Iterator[str]:
    width, latest = max((len(one.check) for one in findings), default=0), ""
    for one in findings:
        word = f"{one.status:7}"
        status = f"\x1b[{_COLOURS[one.status]}m{word}\x1b[0m" if is_coloured else word
        yield f"{status}  {one.check:{width}}  {printable(one.reason)}"
        if one.cure and one.cure != latest:  # one cure of several findings is read once
            yield f"{'':7}  {'':{width}}  → {printable(one.cure)}"
        latest = one.cure


def _summary(findings: Iterable[Finding]) -> str:
    counts = Counter(one.status for one in findings)
    return ", ".join(f"{counts[status]} {word}" for status, word in _WORDS if counts[status])
