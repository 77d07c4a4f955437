"""Many measurements in a few numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the quartiles as its spread, and the mean."""
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0], "mean": values[0]}
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high, "mean": statistics.fmean(values)}


def ratio(value: float | None, to: float | None) -> float | None:
    """Return the quotient, None where one of the two was not measured, or the second is lost in the noise."""
    return None if value is None or to is None or to <= 0 else value / to


def rounded(value: Any) -> Any:
    """Return a result with no more digits than it deserves."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value
