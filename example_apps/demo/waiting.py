"""Wait for what comes a moment later: a log line, a count, a probe."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

PATIENCE_SECONDS = 6.0


def until(
    look: Callable[[], Seen], is_good: Callable[[Seen], bool], patience_seconds: float = PATIENCE_SECONDS
) -> Seen:
    """Look until what is seen is good, or the patience is over; give what was seen last."""
    deadline = time.monotonic() + patience_seconds
    seen = look()
    while not is_good(seen) and time.monotonic() < deadline:
        time.sleep(0.05)
        seen = look()
    return seen
