"""What a check may return, and what listeners get: `from obs_middleware.health import Change, Result`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obs_middleware.health.changes import Change
    from obs_middleware.health.result import Result

__all__ = ["Change", "Result"]

_MODULES = {"Change": "changes", "Result": "result"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
