"""What the three probes answer: `application/health+json`, 200 or 503, details for the authorised alone.

Liveness and startup ask no dependency (Kubernetes would restart a healthy process for a broken database); readiness
runs the checks. The shape is that of draft-inadarei-api-health-check-06.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from obs_middleware.health.checks import FAIL, PASS, WARN, Check, Result
from obs_middleware.health.verdict import CheckFailed
from obs_middleware.ops.access import AccessRule
from obs_middleware.ops.endpoints import Endpoint
from obs_middleware.reply import Reply

if TYPE_CHECKING:
    from obs_middleware.health.registry import Health
    from obs_middleware.lifecycle import Lifecycle
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings

_HEADERS = {"Content-Type": "application/health+json", "Cache-Control": "no-store"}

Answer = tuple[str, dict[str, list[dict[str, Any]]]]  # the status, and the checks by name


class Probes:
    """Answer the probes of one service.

    Args:
        health: the registered checks.
        lifecycle: whether the app has started, and whether it drains.
        describe: turns a failure into text that may be shown.
    """

    def __init__(
        self, health: Health, lifecycle: Lifecycle, describe: Callable[[BaseException], str]
    ) -> None:
        self._health = health
        self._lifecycle = lifecycle
        self._describe = describe
        self.are_details_open = False

    def endpoints(self, settings: Settings) -> tuple[Endpoint, ...]:
        """Return the endpoints of the three probes."""
        access = AccessRule(settings.health_token)
        return (
            Endpoint(settings.live_path, self._answer_of(self.live), access),
            Endpoint(settings.ready_path, self._answer_of(self.ready), access, thread_name="obs-ready"),
            Endpoint(settings.startup_path, self._answer_of(self.startup), access),
        )

    def live(self) -> Answer:
        """Answer that the process can answer."""
        return PASS, {}

    def startup(self) -> Answer:
        """Answer whether the app has started, and what its initialisers wait for."""
        checks: dict[str, list[dict[str, Any]]] = {
            name: [{"status": FAIL, "output": problem} if problem else {"status": PASS}]
            for name, problem in self._lifecycle.initialisers.items()
        }
        return (PASS if self._lifecycle.is_started else FAIL), checks

    def ready(self) -> Answer:
        """Answer with the worst that the checks have found."""
        self._lifecycle.look()
        results = self._health.results()
        statuses = [check.status(result) for check, result in results]
        if self._lifecycle.is_draining or not self._lifecycle.is_started:
            statuses.append(FAIL)
        worst = next((status for status in (FAIL, WARN) if status in statuses), PASS)
        return worst, {check.name: [self._entry(check, result)] for check, result in results}

    def _answer_of(self, probe: Callable[[], Answer]) -> Callable[[RequestInfo, bool], Reply]:
        def answer(info: RequestInfo, is_authorised: bool) -> Reply:
            status, checks = probe()
            content: dict[str, object] = {"status": status}
            if checks and (self.are_details_open or is_authorised):
                content["checks"] = checks
            return Reply(503 if status == FAIL else 200, _HEADERS, msgspec.json.encode(content))

        return answer

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
            described = self._describe(result.error)
            is_answer = isinstance(result.error, CheckFailed)  # the check's own words
            entry["output"] = described.partition(": ")[2] if is_answer else described
        return entry
