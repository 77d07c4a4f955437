"""Whether a check has failed, where one failure of a check that flaps is not to count."""

from __future__ import annotations

from obs_middleware.health.result import FAIL


class Hysteresis:
    """Turn what runs have found into a status that changes after some equal answers in a row.

    The first answer decides alone, because there is none before it.

    Args:
        failures_to_fail: so many failures in a row make a check fail that has passed.
        passes_to_heal: so many passes in a row make it pass again.
    """

    def __init__(self, failures_to_fail: int, passes_to_heal: int) -> None:
        self._failures_to_fail = failures_to_fail
        self._passes_to_heal = passes_to_heal
        self._in_a_row = 0  # against the status
        self.status: str | None = None

    def add(self, found: str, *, count: int = 1) -> None:
        """Note what a run has found, or so many."""
        is_failure = found == FAIL
        if self.status is not None and is_failure is not (self.status == FAIL):
            self._in_a_row += count
            if self._in_a_row < (self._failures_to_fail if is_failure else self._passes_to_heal):
                return
        self.status, self._in_a_row = found, 0

    @property
    def pending(self) -> str:
        """Tell how far it is from a change; empty where the last run was no different."""
        if not self._in_a_row:
            return ""
        if self.status == FAIL:
            return f"{self._in_a_row} of {self._passes_to_heal} passes"
        return f"{self._in_a_row} of {self._failures_to_fail} failures"
