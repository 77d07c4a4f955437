"""What the ready-made checks have in common: a kind, a time limit to hand on, and what they keep in their thread."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from threading import local
from typing import Any, Generic, TypeVar

from obs_middleware.errors import ConfigError
from obs_middleware.health.result import Result, Status

DATASTORE, COMPONENT, SYSTEM = "datastore", "component", "system"
_Connection = TypeVar("_Connection")


class ReadyCheck(ABC):
    """A check that comes with us.

    Attributes:
        component_type: what kind of component it asks: datastore, component or system.
        timeout_seconds: how long a run may take; the registered check sets it, and the check hands it to its library.
    """

    component_type = COMPONENT
    timeout_seconds = 1.0

    @abstractmethod
    def __call__(self) -> Any:
        """Ask once; return None or a Result, or raise."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Close what it has kept in this thread; is called in that thread when it ends."""


class KeptConnection(ReadyCheck, Generic[_Connection]):
    """A check that keeps one connection of its own in its thread, and opens a new one where that has broken."""

    def __init__(self) -> None:
        self._kept = local()  # a forked child has none of these threads, and so none of their connections

    @abstractmethod
    def _open(self, seconds: float) -> _Connection:
        """Open a connection, within so many seconds where its library can."""

    @abstractmethod
    def _ask(self, connection: _Connection, seconds: float) -> Any:
        """Ask over a connection; return None or a Result, or raise."""

    def _hang_up(self, connection: _Connection) -> None:
        """Close a connection."""
        connection.close()  # type: ignore[attr-defined]

    def __call__(self) -> Any:
        """Ask over the kept connection; where that was cut while it waited, over a new one at once."""
        began = time.monotonic()
        if getattr(self._kept, "connection", None) is not None:
            try:
                return self._ask_kept(self.timeout_seconds)
            except Exception:
                if time.monotonic() - began > self.timeout_seconds / 2:  # it hangs: no more than one attempt
                    raise
        left = self.timeout_seconds - (time.monotonic() - began)
        self._kept.connection = self._open(left)
        return self._ask_kept(left)

    def _ask_kept(self, seconds: float) -> Any:
        try:
            return self._ask(self._kept.connection, seconds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._kept, "connection", None)
        self._kept.connection = None
        if connection is not None:
            with suppress(Exception):
                self._hang_up(connection)


def component_type_of(function: object) -> str:
    """Return what kind of component a check of ours asks; nothing for any other function."""
    return function.component_type if isinstance(function, ReadyCheck) else ""


def adopt(function: object, timeout_seconds: float, end_thread: Callable[[], object]) -> Callable[[], object]:
    """Tell a check of ours its time limit; return what ends its thread, which closes what the check keeps there."""
    if not isinstance(function, ReadyCheck):
        return end_thread
    function.timeout_seconds = timeout_seconds
    close = function.close

    def close_and_end() -> None:
        try:
            close()
        finally:
            end_thread()

    return close_and_end


def library(module: str, package: str, check: str) -> Any:
    """Import what a check needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as missing:
        raise ConfigError(
            f"the check {check} needs {package}, which can't be imported ({missing}): pip install {package}"
        ) from missing


def given(what: Any) -> Any:
    """Return what a check was given, or what a function returns that was given in its place."""
    return what() if callable(what) else what


def graded(value: float, unit: str, output: str, *, warns: bool, fails: bool) -> Result:
    """Return what was measured; the output where it is no pass."""
    status: Status = "fail" if fails else "warn" if warns else "pass"
    return Result(status, "" if status == "pass" else output, observed_value=value, observed_unit=unit)
