"""How much a store may send: a bucket of tokens for each, and a bound on its jobs that wait.

The buckets are those of one process: with N web workers a store may send N times as much.
"""

import os
import time
from dataclasses import dataclass, field
from threading import Lock

from example_apps.tokpulse import queue, telemetry
from example_apps.tokpulse.storage import STORES, UNKNOWN_STORE, Store

PER_SECOND = float(os.environ.get("TOKPULSE_REQUESTS_PER_SECOND", "50"))
BURST = 2 * PER_SECOND
MOST_WAITING = 500  # jobs of a store


@dataclass(slots=True)
class Bucket:
    """Tokens that come at a rate, up to a burst; each request takes one."""

    per_second: float
    burst: float
    tokens: float = field(init=False)
    filled_at: float = field(init=False)
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.tokens, self.filled_at = self.burst, time.monotonic()

    def take(self) -> bool:
        """Take a token, if there is one."""
        with self.lock:
            now = time.monotonic()
            self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.per_second)
            self.filled_at = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True


BUCKETS = {
    store_id: Bucket(PER_SECOND, BURST) for store_id in (*(row[0] for row in STORES), UNKNOWN_STORE.id)
}


def why_not(store: Store, *, adds_job: bool) -> str | None:
    """Say why a request of a store is refused, and count that; None if it is served."""
    reason = None
    if not BUCKETS[store.id].take():
        reason = "rate"
    elif adds_job and queue.backlog_of(store) >= MOST_WAITING:
        reason = "backlog"
    if reason is not None:
        telemetry.TENANT_THROTTLING.labels(store.id, store.org_id, reason).inc()
    return reason
