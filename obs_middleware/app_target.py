"""What `module:app` names on a command line: an app, and the Observer that observes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from obs_middleware.errors import ConfigError


def resolve(target: str) -> Any:
    """Import what a target names, as from the folder that the command runs in.

    Raises:
        ConfigError: it names nothing that can be imported.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise ConfigError(
            "the target must be a URL such as http://127.0.0.1:8000, or module:app such as shop.main:app, "
            f"got {target!r}"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return resolve_name(target)
    except Exception as error:  # also whatever the app's module raises
        raise ConfigError(f"{target} can't be imported: {type(error).__name__}: {error}") from None


def observer_of(target: str) -> Any:
    """Return the Observer that a target names, itself or by its app.

    Raises:
        ConfigError: there is none.
    """
    observer = next(filter(is_observer, candidates(resolve(target))), None)
    if observer is None:
        module = target.partition(":")[0]
        raise ConfigError(
            f"no Observer is found at {target}: name the Observer itself, such as {module}:observer, "
            "or the URL of a server that runs"
        )
    return observer


def candidates(found: Any) -> Iterator[Any]:
    """Yield what may be the Observer: the object, what holds one, and the same of the apps inside."""
    for app in apps(found):
        yield app
        yield getattr(app, "observer", None)
        extensions = getattr(app, "extensions", None)
        if isinstance(extensions, dict):  # Flask
            yield extensions.get("obs")
        yield from (keywords.get("observer") for keywords in middleware_keywords(app))


def apps(found: Any) -> Iterator[Any]:
    """Yield an app, and those that it is wrapped around."""
    for _ in range(20):
        yield found
        found = getattr(found, "app", None)


def middleware_keywords(app: Any) -> Iterator[dict[str, Any]]:
    """Yield what was given to each middleware of Starlette's."""
    for added in getattr(app, "user_middleware", ()):
        for arguments in ("kwargs", "options"):
            yield dict(getattr(added, arguments, {}))


def is_observer(one: Any) -> bool:
    """Tell whether it is an Observer."""
    return hasattr(one, "gateway") and hasattr(one, "health")
