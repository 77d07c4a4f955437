"""Sums that do not depend on the order of addition, and what they have besides the nearest double."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite


def exact_sum(*values: float) -> float:
    """Return a sum that does not depend on the order of addition: the double that is nearest to it."""
    try:
        return fsum(values)
    except (OverflowError, ValueError):  # infinities of both signs, or too much
        return sum(values)


def rest_of(values: Sequence[float]) -> float:
    """Return what an exact sum has besides the double that is nearest to it; 0 where that is no number."""
    rest = exact_sum(*values, -exact_sum(*values))
    return rest if isfinite(rest) else 0.0
