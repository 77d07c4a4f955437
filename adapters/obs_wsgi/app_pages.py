"""Whether a WSGI app has something mounted at a path, as Werkzeug's DispatcherMiddleware has."""

from __future__ import annotations

from typing import Any

_MOST_LAYERS = 20


def has_mount(app: Any, path: str) -> bool:
    """Tell whether a layer of the app hands a path on to another app."""
    for _ in range(_MOST_LAYERS):
        mounts = getattr(app, "mounts", None)
        if isinstance(mounts, dict) and any(f"{path}/".startswith(f"{mount}/") for mount in mounts if mount):
            return True
        app = getattr(app, "app", None)
        if app is None:
            break
    return False
