"""The state of one service, which the probes tell: it starts, serves, and drains before it stops."""

from __future__ import annotations


class Lifecycle:
    """Whether the app has started, and whether it is about to stop."""

    def __init__(self) -> None:
        self.is_started = False
        self.is_draining = False

    def starting(self) -> None:
        """Note that the app starts, or starts again after it was stopped."""
        self.is_started = self.is_draining = False

    def started(self) -> None:
        """Note that the app has started, and serves."""
        self.is_started = True

    def drain(self) -> None:
        """Turn readiness to 503, while liveness stays 200: the service is about to stop."""
        self.is_draining = True
