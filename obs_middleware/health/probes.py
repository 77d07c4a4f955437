"""What the three probes answer: `application/health+json`, 200 or 503, details for the authorised alone.

Liveness and startup ask no dependency (Kubernetes would restart a healthy process for a broken database); readiness
runs the checks. The shape is that of draft-inadarei-api-health-check-06.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from obs_middleware.health.checks import (
    FAIL,
    PASS,
    WARN,
    Await,
    Check,
    CheckFailed,
    Function,
    Result,
    run_in_new_loop,
)
from obs_middleware.settings import ConfigError

_ANSWER_WITHIN_SECONDS = 0.08

Health = tuple[str, dict[str, list[dict[str, Any]]]]


class Probes:
    """The state of one service and its registered checks.

    Args:
        describe: turns a failure into text that may be shown.
    """

    def __init__(self, describe: Callable[[BaseException], str]) -> None:
        self._describe = describe
        self._checks: dict[str, Check] = {}
        self.is_started = False
        self.is_draining = False
        self.run_async: Await = run_in_new_loop

    def add(
        self, name: str, function: Function, *, critical: bool, timeout_seconds: float, cache_seconds: float
    ) -> None:
        """Register a check.

        Raises:
            ConfigError: the name is taken or empty, or an argument is not as it must be.
        """
        if not name or name in self._checks:
            raise ConfigError(f"a check must have a name of its own, got {name!r}, which is taken or empty")
        self._checks[name] = Check(
            name, function, is_critical=critical, timeout_seconds=timeout_seconds, cache_seconds=cache_seconds
        )

    def live(self) -> Health:
        """Answer that the process can answer."""
        return PASS, {}

    def startup(self) -> Health:
        """Answer whether the app has started."""
        return (PASS if self.is_started else FAIL), {}

    def ready(self) -> Health:
        """Run the checks whose results are old and answer with the worst, within 100 ms whatever they do."""
        deadline = time.monotonic() + _ANSWER_WITHIN_SECONDS
        checks = tuple(self._checks.values())
        for check in checks:
            check.begin(self.run_async)
        results = [(check, check.result(wait_until=deadline)) for check in checks]
        statuses = [check.status(result) for check, result in results]
        if self.is_draining or not self.is_started:
            statuses.append(FAIL)
        worst = next((status for status in (FAIL, WARN) if status in statuses), PASS)
        return worst, {check.name: [self._entry(check, result)] for check, result in results}

    def _entry(self, check: Check, result: Result | None) -> dict[str, Any]:
        status = check.status(result)
        if result is None:
            return {"status": status, "output": "no answer yet"}
        entry = {
            "status": status,
            "time": datetime.fromtimestamp(result.at, timezone.utc).isoformat(timespec="milliseconds"),
            "observedValue": round(result.seconds * 1000, 3),
            "observedUnit": "ms",
        }
        if result.error is not None:
            is_told = isinstance(result.error, CheckFailed)
            entry["output"] = str(result.error) if is_told else self._describe(result.error)
        return entry
