"""How much a store may send: a bucket of tokens for each, and a bound on its webhooks that wait.

The buckets are those of one process: with N web workers a store may send N times as much.
"""

import os
import time
from threading import Lock

from example_apps.tokpulse import queue
from example_apps.tokpulse.storage import STORE_IDS, UNKNOWN_STORE, Store

PER_SECOND = float(os.environ.get("TOKPULSE_REQUESTS_PER_SECOND", "50"))
MOST_WAITING = int(os.environ.get("TOKPULSE_MOST_WAITING", "500"))  # jobs of a store


class Bucket:
    """Tokens that come at a rate, up to a burst; each request takes one."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second, self.burst = per_second, burst
        self.tokens, self.filled_at, self.lock = burst, time.monotonic(), Lock()

    def take(self) -> bool:
        """Take a token, if there is one."""
        with self.lock:
            before, self.filled_at = self.filled_at, time.monotonic()
            self.tokens = min(self.burst, self.tokens + (self.filled_at - before) * self.per_second)
            has_one = self.tokens >= 1
            self.tokens -= has_one
            return has_one


BUCKETS = {store_id: Bucket(PER_SECOND, 2 * PER_SECOND) for store_id in (*STORE_IDS, UNKNOWN_STORE.id)}


def why_not(store: Store, *, adds_job: bool) -> str:
    """Say why a request of a store is refused; empty if it is served."""
    reason = "" if BUCKETS[store.id].take() else "rate"
    if adds_job and not reason and queue.depth("store_id", store.id) >= MOST_WAITING:
        reason = "backlog"
    return reason
