"""Fields made short enough for one line: what takes the most is cut, and says so; what is short stays whole.

Runtimes of containers split a line at 16 KiB, and then none of its parts is JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from obs_middleware.redaction import CUT

_ENDS = ("stack", "stack_info")  # of which the end says the most
_LAST = ("exception", "stack_info")
_LEAST = 40  # bytes for a value that is cut: IDs and times are shorter, and stay whole
_LEAST_OF_LAST = 512  # and a fourth of the line at most

Size = Callable[[Any], int]  # bytes of a value as JSON


def shortened(fields: dict[str, Any], limit: int, size: Size) -> dict[str, Any]:
    """Return the fields, cut so that their JSON takes at most `limit` bytes."""
    return _of_dict(fields, limit, size) if size(fields) > limit else fields


def _fit(value: Any, limit: int, size: Size, key: str = "") -> Any:
    if size(value) <= limit:
        return value
    if isinstance(value, str):
        return _of_text(value, limit, size, is_end=key in _ENDS)
    if isinstance(value, dict):
        return _of_dict(value, limit, size)
    if isinstance(value, list):
        return _of_list(value, limit, size)
    return CUT


def _of_dict(fields: dict[str, Any], limit: int, size: Size) -> dict[str, Any]:
    sizes = {name: size(value) for name, value in fields.items()}
    names = {name: size(name) + 2 for name in fields}
    left = limit - 2 - sum(names.values())
    kept = dict(fields)
    last_cap = max(_LEAST, min(_LEAST_OF_LAST, limit // 4))
    least = {name: min(sizes[name], last_cap if name in _LAST else _LEAST) for name in fields}
    needed = sum(least.values())
    mark = size(CUT) + 8
    for name in reversed(fields):
        if left >= needed + (mark if len(kept) < len(fields) else 0):
            break
        if name not in _LAST:
            del kept[name]
            left += names[name]
            needed -= least[name]
    if len(kept) < len(fields):
        left -= mark
    caps = _caps({name: sizes[name] for name in kept}, left, last_cap)
    short = {
        name: value if sizes[name] <= caps[name] else _fit(value, caps[name], size, name)
        for name, value in kept.items()
    }
    if len(kept) < len(fields):
        short[CUT] = len(fields) - len(kept)
    return short


def _of_list(items: list[Any], limit: int, size: Size) -> list[Any]:
    left = limit - 2 - 24 - size(CUT)
    short: list[Any] = []
    for item in items:
        needed = size(item) + 1
        if needed > left:
            if not short and left > _LEAST:
                short.append(_fit(item, left, size))
            break
        short.append(item)
        left -= needed
    return [*short, f"{len(items) - len(short)} more {CUT}"] if len(short) < len(items) else short


def _of_text(text: str, limit: int, size: Size, *, is_end: bool) -> str:
    mark = size(CUT)
    count = max(0, len(text) * (limit - mark) // size(text))
    while True:
        short = (CUT + text[len(text) - count :] if count else CUT) if is_end else text[:count] + CUT
        needed = size(short)
        if needed <= limit or not count:
            return short
        count = max(0, min(count - 1, count * (limit - mark) // needed))


def _caps(sizes: dict[str, int], limit: int, last_cap: int) -> dict[str, int]:
    """Return the size to which each value is cut: the same for all, but for what many others would leave no room."""
    cap = _cap(sizes.values(), limit)
    if cap >= last_cap:
        return dict.fromkeys(sizes, cap)
    last = {name: min(size, last_cap) for name, size in sizes.items() if name in _LAST}
    others = [size for name, size in sizes.items() if name not in last]
    return dict.fromkeys(sizes, _cap(others, limit - sum(last.values()))) | last


def _cap(sizes: Iterable[int], limit: int) -> int:
    """Return the size to which values are cut, so that all of them together take `limit`."""
    ordered = sorted(sizes)
    for place, size in enumerate(ordered):
        share = max(limit, 0) // (len(ordered) - place)
        if size > share:
            return max(share, _LEAST)
        limit -= size
    return ordered[-1] if ordered else 0
