"""Wait for what comes a moment later: a log line, a count, a probe."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

PATIENCE_SECONDS = 6.0


def until(look: Callable[[], Seen], is_good: Callable[[Seen], bool]) -> Seen:
    """Look until what is seen is good, or PATIENCE_SECONDS are over; give what was seen last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen = look()
    while not is_good(seen) and time.monotonic() < deadline:
        time.sleep(0.05)
        seen = look()
    return seen
