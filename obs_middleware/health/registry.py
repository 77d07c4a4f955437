"""The checks that a user registers, and what they find when somebody asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from obs_middleware.errors import ConfigError
from obs_middleware.health.changes import Changes, HealthSignals
from obs_middleware.health.checks import Check, Function, Options, State
from obs_middleware.health.ready_check import component_type_of
from obs_middleware.health.surroundings import Surroundings

READY = "ready"  # the group that readiness asks
_F = TypeVar("_F", bound=Function)
_is_group = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*").fullmatch
_WITHOUT_CHECKS = ("live", "startup")
_DRAIN = "drain"  # whose page begins the drain


class Health:
    """What a user has of the probes: `observer.health`.

    @observer.health.check("database")
    async def database() -> None: ...
    """

    def __init__(self, signals: HealthSignals) -> None:
        self._checks: dict[str, Check] = {}
        self.surroundings = Surroundings()
        self._changes = Changes(signals, self.surroundings)
        self.on_change = self._changes.listen
        self.on_added: Callable[[], object] = bool  # called when a check is registered

    def check(
        self,
        name: str,
        *,
        critical: bool = True,
        timeout_seconds: float = 2.0,
        every_seconds: float = 10.0,
        groups: Iterable[str] = (READY,),
        component_type: str = "",
        failures_to_fail: int = 1,
        passes_to_heal: int = 1,
    ) -> Callable[[_F], _F]:
        """Register the decorated function, sync or async, as a check (see `add`).

        Raises:
            ConfigError: there is no name, or an argument is not as it must be.
        """
        if callable(name):
            raise ConfigError(f"a check must have a name, got {name!r}: @observer.health.check('database')")

        def register(function: _F) -> _F:
            self.add(
                name,
                function,
                critical=critical,
                timeout_seconds=timeout_seconds,
                every_seconds=every_seconds,
                groups=groups,
                component_type=component_type,
                failures_to_fail=failures_to_fail,
                passes_to_heal=passes_to_heal,
            )
            return function

        return register

    def add(
        self,
        name: str,
        function: Function,
        *,
        critical: bool = True,
        timeout_seconds: float = 2.0,
        every_seconds: float = 10.0,
        groups: Iterable[str] = (READY,),
        component_type: str = "",
        failures_to_fail: int = 1,
        passes_to_heal: int = 1,
    ) -> None:
        """Register a check, which fails by raising or by an answer that says so.

        False is such an answer, as are `Result("fail")`, `(False, "why")`, `{"status": "fail"}`, a response of status
        5xx, an exception that is returned, and a list of results in which one is a failure. A generator fails, because
        it has never run.

        Args:
            name: its key in the answer, and the end of its own path: `/health/ready/database`.
            function: sync or async, without arguments.
            critical: a failure turns the groups to 503; otherwise to `warn`, with 200.
            timeout_seconds: a run that takes longer has failed.
            every_seconds: how often it runs in the background once anybody has asked; 0: with each question instead.
            groups: whose answers it is part of: `ready`, and any other, which is answered at `/health/<group>`.
            component_type: what it asks, such as `datastore`, for readers of the details; a ready-made check knows.
            failures_to_fail: so many failures in a row make it fail after it has passed.
            passes_to_heal: so many passes in a row make it pass after it has failed.

        Raises:
            ConfigError: the name is taken or empty, or an argument is not as it must be.
        """
        if not isinstance(name, str) or not name:
            raise ConfigError(f"a check must have a name, got {name!r}")
        if name in self._checks:
            raise ConfigError(f"a check must have a name of its own, got {name!r}, which another one has")
        if not callable(function):
            raise ConfigError(f"check {name!r} must be a function, got {function!r}")
        if not isinstance(component_type, str):
            raise ConfigError(f"check {name!r}: component_type must be a text, got {component_type!r}")
        if not isinstance(critical, bool):
            raise ConfigError(f"check {name!r}: critical must be True or False, got {critical!r}")
        options = Options(
            critical=critical,
            timeout_seconds=_seconds(name, "timeout_seconds", timeout_seconds, is_zero_allowed=False),
            every_seconds=_seconds(name, "every_seconds", every_seconds, is_zero_allowed=True),
            groups=_groups(name, groups),
            component_type=component_type or component_type_of(function),
            failures_to_fail=_count(name, "failures_to_fail", failures_to_fail),
            passes_to_heal=_count(name, "passes_to_heal", passes_to_heal),
        )
        self._checks[name] = Check(
            name, function, options, surroundings=self.surroundings, changes=self._changes
        )
        self.on_added()

    def members(self, group: str) -> list[Check]:
        """Return the checks of a group."""
        return [check for check in tuple(self._checks.values()) if group in check.options.groups]

    def ask(self, checks: Iterable[Check]) -> list[tuple[Check, State]]:
        """Return what checks have found, within 100 ms whatever they do; from now on they run in the background."""
        self._changes.is_reporting = True
        checks = tuple(checks)
        for check in checks:
            check.ask()
        return [(check, check.state()) for check in checks]

    def will_wait(self, checks: Iterable[Check]) -> bool:
        """Tell whether `ask` has to wait for a run."""
        return any(check.will_wait for check in checks)

    def stop(self) -> None:
        """Run no check in the background any more, and tell no change, because what they ask goes down with the app."""
        self._changes.is_reporting = False
        for check in tuple(self._checks.values()):
            check.stop()


def _seconds(check: str, name: str, value: Any, *, is_zero_allowed: bool) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not (0 < value < float("inf") or (is_zero_allowed and value == 0)):
        wanted = "a number of seconds, 0 or more" if is_zero_allowed else "a number of seconds above 0"
        raise ConfigError(f"check {check!r}: {name} must be {wanted}, got {value!r}")
    return float(value)


def _count(check: str, name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ConfigError(f"check {check!r}: {name} must be a whole number, 1 or more, got {value!r}")
    return value


def _groups(check: str, groups: Iterable[str]) -> tuple[str, ...]:
    names = (groups,) if isinstance(groups, str) else tuple(groups)
    bad = [name for name in names if not isinstance(name, str) or not _is_group(name)]
    if bad or not names:
        raise ConfigError(
            f"check {check!r}: groups must be names such as ('ready', 'storage'), got {groups!r}"
        )
    if _DRAIN in names:
        raise ConfigError(
            f"check {check!r}: the group {_DRAIN!r} has no page, because /health/{_DRAIN} begins the drain: "
            "give it another name"
        )
    refused = [name for name in names if name in _WITHOUT_CHECKS]
    if refused:
        raise ConfigError(
            f"check {check!r}: the group {refused[0]!r} has no checks, because Kubernetes would restart "
            "a healthy process for a dependency that is broken: use 'ready' or a group of your own"
        )
    return names
