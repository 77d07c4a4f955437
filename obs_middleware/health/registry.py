"""The checks that a user registers, and what they find when readiness asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from obs_middleware.errors import ConfigError
from obs_middleware.health.checks import Check, Function, Result, Surroundings

_ANSWER_WITHIN_SECONDS = 0.08
_F = TypeVar("_F", bound=Function)


class Health:
    """What a user has of the probes: `observer.health`.

    @observer.health.check("database")
    async def database() -> None: ...
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self.surroundings = Surroundings()

    def check(
        self, name: str, *, critical: bool = True, timeout_seconds: float = 1.0, cache_seconds: float = 1.0
    ) -> Callable[[_F], _F]:
        """Register the decorated function, sync or async, as a readiness check (see `add`).

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
                cache_seconds=cache_seconds,
            )
            return function

        return register

    def add(
        self,
        name: str,
        function: Function,
        *,
        critical: bool = True,
        timeout_seconds: float = 1.0,
        cache_seconds: float = 1.0,
    ) -> None:
        """Register a readiness check, which fails by raising or by an answer that says so.

        False is such an answer, as are `(False, "why")`, `{"status": "fail"}`, a response of status 5xx and an
        exception that is returned. A generator fails, because it has never run.

        Args:
            name: its key in the answer.
            function: sync or async, without arguments.
            critical: a failure turns readiness to 503; otherwise to `warn`, with 200.
            timeout_seconds: a run that takes longer has failed.
            cache_seconds: how long a result is good for.

        Raises:
            ConfigError: the name is taken or empty, or an argument is not as it must be.
        """
        if not name or name in self._checks:
            raise ConfigError(f"a check must have a name of its own, got {name!r}, which is taken or empty")
        self._checks[name] = Check(
            name,
            function,
            is_critical=critical,
            timeout_seconds=timeout_seconds,
            cache_seconds=cache_seconds,
            surroundings=self.surroundings,
        )

    def results(self) -> list[tuple[Check, Result | None]]:
        """Run the checks whose results are old; return what all have found, within 100 ms whatever they do."""
        deadline = time.monotonic() + _ANSWER_WITHIN_SECONDS
        checks = tuple(self._checks.values())
        for check in checks:
            check.begin()
        return [(check, check.result(wait_until=deadline)) for check in checks]
