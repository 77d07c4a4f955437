"""Paths that are left out of metrics, traces and the access log, as patterns name them.

exclude_paths="/internal/*,/favicon.ico"
"""

from __future__ import annotations

from collections.abc import Sequence


class ExcludedPaths:
    """Tell which paths are left out.

    Args:
        patterns: whole paths, in which `*` stands for any text, slashes included.
    """

    __slots__ = ("_parts", "_whole")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._whole = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._parts = [pattern.split("*") for pattern in patterns if "*" in pattern]

    def __contains__(self, path: str) -> bool:
        return path in self._whole or any(_matches(path, *parts) for parts in self._parts)


def _matches(path: str, first: str, *others: str) -> bool:
    """Tell whether a path is these texts in their order with anything between; a regular expression may hang."""
    if not path.startswith(first):
        return False
    *middle, last = others
    at = len(first)
    for text in middle:
        found = path.find(text, at)
        if found < 0:
            return False
        at = found + len(text)
    return len(path) - at >= len(last) and path.endswith(last)
