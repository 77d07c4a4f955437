"""A bar chart as SVG, legible on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

_LEFT, _WIDTH, _RIGHT = 118, 470, 132
_BAR, _GAP, _GROUP = 14, 2, 14
_TOP = 62
_STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-size: 14px; font-weight: 600; }
  .quiet { fill: #59636e; }
  .strong { font-weight: 600; }
  .s0 { fill: #c4cbd3; } .s1 { fill: #8c959f; } .s2 { fill: #d29922; } .s3 { fill: #0969da; }
  .cut { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .s0 { fill: #4b535d; } .s1 { fill: #7d8590; } .s2 { fill: #d29922; } .s3 { fill: #4493f8; }
    .cut { stroke: #0d1117; }
  }
"""


class Group(NamedTuple):
    """The bars of one framework, None where nothing was measured."""

    name: str
    values: Sequence[float | None]


def svg(title: str, series: Sequence[str], groups: Sequence[Group], *, unit: str) -> str:
    """Return the chart; bars that would dwarf the others are cut, their value says how long they are."""
    longest = _longest([value for group in groups for value in group.values if value is not None])
    lines, y = [], float(_TOP)
    for group in groups:
        bars = [(number, value) for number, value in enumerate(group.values) if value is not None]
        height = len(bars) * (_BAR + _GAP)
        lines.append(_text(_LEFT - 10, y + height / 2 + 4, group.name, anchor="end", kind="strong"))
        for number, value in bars:
            lines += _bar(y, number, value, longest, unit, is_last=number == len(series) - 1)
            y += _BAR + _GAP
        y += _GROUP
    width = _LEFT + _WIDTH + _RIGHT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y:g}" width="{width}" '
        f'height="{y:g}" role="img" aria-label="{escape(title)}">'
    )
    told = [
        head,
        f"<style>{_STYLE}</style>",
        _text(10, 22, title, kind="title"),
        *_legend(series),
        *lines,
        "</svg>",
    ]
    return "\n".join(told) + "\n"


def _longest(values: Sequence[float]) -> float:
    """Return the value that gets the full width: a few that dwarf the others are cut."""
    ordered = sorted(values, reverse=True) or [1.0]
    for value, following in pairwise(ordered[: len(ordered) // 4 + 1]):
        if value > 1.5 * following:
            return following
    return ordered[0]


def _bar(y: float, number: int, value: float, longest: float, unit: str, *, is_last: bool) -> list[str]:
    width = max(1.0, min(value / longest, 1.06) * _WIDTH / 1.06)
    label = f"{value:.0f} {unit}" if value >= 20 else f"{value:.1f} {unit}"
    drawn = [f'<rect class="s{number}" x="{_LEFT}" y="{y:g}" width="{width:.1f}" height="{_BAR}" rx="2"/>']
    if value > 1.06 * longest:
        x = _LEFT + width - 22
        drawn.append(f'<path class="cut" d="M{x:.1f} {y + _BAR + 2:g}l8 {-_BAR - 4}"/>')
    drawn.append(_text(_LEFT + width + 6, y + _BAR - 2.5, label, kind="strong" if is_last else "quiet"))
    return drawn


def _legend(series: Sequence[str]) -> list[str]:
    drawn, x = [], 10.0
    for number, name in enumerate(series):
        drawn.append(f'<rect class="s{number}" x="{x:g}" y="34" width="12" height="12" rx="2"/>')
        drawn.append(_text(x + 18, 44, name))
        x += 40 + 6.4 * len(name)
    return drawn


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
