"""Settings of zerostate without the library: each name that it imports of ours does nothing.

Spans are left, because they are of OpenTelemetry's API, which does nothing without an SDK.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from example_apps.zerostate.settings import *  # noqa: F403
from example_apps.zerostate.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [app for app in _APPS if app != "obs_django"]


class Nothing:
    """Whatever is asked of it: itself; a decorated function stays as it is."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return args[0] if len(args) == 1 and callable(args[0]) and not isinstance(args[0], Nothing) else self

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _install(name: str, **given: Any) -> None:
    module = ModuleType(name)
    module.__path__ = []  # a package
    module.__getattr__ = lambda _: Nothing()  # type: ignore[method-assign]
    vars(module).update(given)
    sys.modules[name] = module


for _name in (
    "obs_django",
    "obs_django.ready_made",
    "obs_middleware.health",
    "obs_middleware.health.ready_made",
):
    _install(_name)
_install("obs_middleware", outgoing_headers=dict)
