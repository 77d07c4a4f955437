"""The apps that are measured: a framework, a number of routes, and one variant of what observes it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.variants import VARIANTS

FRAMEWORKS = {
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "asgi": "raw ASGI",
    "flask": "Flask",
    "django-wsgi": "Django WSGI",
    "django-asgi": "Django ASGI",
}
_MODULES = {"fastapi": "asgi", "starlette": "asgi", "asgi": "asgi", "flask": "flask"}


def names(framework: str) -> list[str]:
    """Return the variants that the framework has, in the order of the tables."""
    has = module(framework).variants(framework)
    return [name for name in VARIANTS if name in has]


def build(framework: str, variant: str, *, routes: int = 1) -> Any:
    """Return the app, ASGI or WSGI; Django can be built once in a process."""
    return module(framework).build(framework, variant, routes)


def is_asgi(framework: str) -> bool:
    """Tell how the framework's app is called."""
    return framework not in ("flask", "django-wsgi")


def module(framework: str) -> Any:
    """Return the module that builds the framework's apps; it imports no peer until one is built."""
    return import_module(f"benchmarks.apps.{_MODULES.get(framework, 'django')}")
