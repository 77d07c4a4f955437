"""What the probes answer: `application/health+json`, 200 or 503, details for the authorised alone.

Liveness and startup ask no dependency (Kubernetes would restart a healthy process for a broken database); readiness
asks the checks of its group. A group of the user's is answered at `/health/<group>`, and a single check below the page
of its group. The shape is that of draft-inadarei-api-health-check-06.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from obs_middleware.health.registry import READY
from obs_middleware.health.result import FAIL, PASS, WARN
from obs_middleware.ops.endpoints import Endpoint
from obs_middleware.reply import Reply

if TYPE_CHECKING:
    from obs_middleware.health.checks import Check, State
    from obs_middleware.health.registry import Health
    from obs_middleware.health.watchdog import Watchdog
    from obs_middleware.lifecycle import Lifecycle
    from obs_middleware.ops.access import Access
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings

_HEADERS = {"Content-Type": "application/health+json", "Cache-Control": "no-store"}
_RETRY_SECONDS = "5"  # until another process is likely to serve at the same address
_UNKNOWN = msgspec.json.encode({"status": FAIL, "output": "there is no such check"})

Content = dict[str, Any]


class Probes:
    """Answer the probes of one service.

    Args:
        health: the registered checks.
        lifecycle: whether the app has started, and whether it drains.
        access: makes the rule of who sees details.
        watchdog: tells whether the process is stuck; without it liveness never fails.
    """

    def __init__(
        self,
        health: Health,
        lifecycle: Lifecycle,
        settings: Settings,
        access: Access,
        *,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._health = health
        self.watchdog = watchdog
        self._lifecycle = lifecycle
        self._settings = settings
        self._access = access.rule(
            "health", is_required=False, is_open_directly=lambda: self.are_details_open
        )
        self.are_details_open = False

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints of the three probes."""
        settings = self._settings
        return (
            Endpoint(settings.live_path, self._answer_of(self.live), self._access),
            self._asking(settings.ready_path, self.ready, partial(self._health.members, READY)),
            Endpoint(settings.startup_path, self._answer_of(self.startup), self._access),
        )

    def aliases(self) -> tuple[Endpoint, ...]:
        """Return the same under the names that others give them; an app's own page comes before them."""
        if self._settings.health_path is None:
            return ()
        live, ready, startup = self.endpoints()
        others = {"/livez": live, "/readyz": ready, "/startupz": startup, self._settings.health_path: ready}
        return tuple(
            msgspec.structs.replace(endpoint, path=path)
            for path, endpoint in others.items()
            if endpoint.path is not None and path not in self._settings.own_paths
        )

    def below(self, path: str) -> Endpoint | None:
        """Return the endpoint of a group or of a single check; None where neither is meant."""
        group, _, component = path.removeprefix(f"{self._settings.health_path}/").partition("/")
        is_switched_off = group == READY and (self._settings.ready_path is None or not component)
        members = [] if is_switched_off else self._health.members(group)
        if not members:
            return None
        asked = [check for check in members if component in ("", check.name)]
        if not asked:
            return Endpoint(path, _unknown)
        return self._asking(path, partial(self._group, asked), lambda: asked)

    def live(self) -> Content:
        """Answer that the process can answer, and is not stuck."""
        why = "" if self.watchdog is None else self.watchdog.look()
        return {"status": FAIL, "notes": [why]} if why else {"status": PASS}

    def startup(self) -> Content:
        """Answer whether the app has started, and what its initialisers wait for."""
        content: Content = {"status": PASS if self._lifecycle.is_started else FAIL}
        if problems := self._lifecycle.initialisers:
            content["checks"] = lambda: {
                name: [{"status": FAIL, "output": problem} if problem else {"status": PASS}]
                for name, problem in problems.items()
            }
        return content

    def ready(self) -> Content:
        """Answer with the worst that the checks have found; a service that does not serve fails anyhow."""
        content = self._group(self._health.members(READY))
        for is_so, note in (
            (self._lifecycle.is_draining, "the app is about to stop"),
            (not self._lifecycle.is_started, "the app has not started yet"),
        ):
            if is_so:
                content["status"] = FAIL
                content.setdefault("notes", []).append(note)
        return content

    def _group(self, checks: Iterable[Check]) -> Content:
        found = self._health.ask(checks)
        statuses = [state.status for _, state in found]
        worst = next((status for status in (FAIL, WARN) if status in statuses), PASS)
        if not found:
            return {"status": worst}
        return {
            "status": worst,
            "checks": lambda: {check.name: [_entry(check, state)] for check, state in found},
        }

    def _asking(
        self, path: str | None, probe: Callable[[], Content], asked: Callable[[], Iterable[Check]]
    ) -> Endpoint:
        """Return an endpoint that may have to wait for a check."""
        return Endpoint(
            path,
            self._answer_of(probe),
            self._access,
            thread_name="obs-ready",
            takes_time=lambda: self._health.will_wait(asked()),
        )

    def _answer_of(self, probe: Callable[[], Content]) -> Callable[[RequestInfo, bool], Reply]:
        def answer(info: RequestInfo, is_authorised: bool) -> Reply:
            self._lifecycle.look()  # each probe, so that a worker which one reaches drains with the others
            content = probe()
            status = content["status"]
            if not is_authorised:
                content = {"status": status}
            elif "checks" in content:
                content["checks"] = content["checks"]()
            headers = _HEADERS
            if status == FAIL and self._lifecycle.is_draining:
                headers = {**_HEADERS, "Retry-After": _RETRY_SECONDS}
            return Reply(503 if status == FAIL else 200, headers, msgspec.json.encode(content))

        return answer


def _entry(check: Check, state: State) -> dict[str, Any]:
    entry: dict[str, Any] = {"status": state.status}
    if check.options.component_type:
        entry["componentType"] = check.options.component_type
    if state.run is not None:
        run = state.run
        entry["time"] = datetime.fromtimestamp(run.at, timezone.utc).isoformat(timespec="milliseconds")
        if run.value is None:
            entry |= {"observedValue": round(run.seconds * 1000, 3), "observedUnit": "ms"}
        else:
            entry |= {"observedValue": run.value} | ({"observedUnit": run.unit} if run.unit else {})
    if state.output:
        entry["output"] = state.output
    return entry


def _unknown(info: RequestInfo, is_authorised: bool) -> Reply:
    return Reply(404, _HEADERS, _UNKNOWN)
