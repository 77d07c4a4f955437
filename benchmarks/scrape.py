"""What a scrape costs: the page's time, the stall of the event loop meanwhile."""

from __future__ import annotations

from typing import Any


def stall(driver: Any) -> dict[str, float]:
    """Return the longest stall."""
    raise NotImplementedError
