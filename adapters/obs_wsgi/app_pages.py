"""Whether a WSGI app has a page at a path, where Werkzeug routes: mounts of its dispatcher, rules of Flask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obs_middleware.gateway import is_caught_by_all

_MOST_LAYERS = 20
_INNER = ("__self__", "wsgi_app", "app", "application")  # of a method, and what layers call the app inside


def has_page(app: Any, path: str) -> bool:
    """Tell whether a layer of the app hands a path on to another app, or has a rule for it."""
    return any(_has_rule(layer, path) or _has_mount(layer, path) for layer in _layers(app))


def _layers(app: Any) -> Iterator[Any]:
    """Yield an app and what is inside it, outermost first."""
    for _ in range(_MOST_LAYERS):
        yield app
        inner = (getattr(app, name, None) for name in _INNER)
        app = next((one for one in inner if callable(one)), None)
        if app is None:
            return


def _has_mount(layer: Any, path: str) -> bool:
    mounts = getattr(layer, "mounts", None)
    if not isinstance(mounts, dict):
        return False
    below = ((mount, app) for mount, app in mounts.items() if mount and f"{path}/".startswith(f"{mount}/"))
    return any(not _is_known(app) or has_page(app, path[len(mount) :] or "/") for mount, app in below)


def _is_known(app: Any) -> bool:
    """Tell whether an app says which pages it has."""
    return any(
        hasattr(layer, "url_map") or isinstance(getattr(layer, "mounts", None), dict)
        for layer in _layers(app)
    )


def _has_rule(layer: Any, path: str) -> bool:
    """Tell whether a Flask app has a rule for a path and any method; one for every path is none."""
    try:
        urls = layer.url_map.bind("localhost")
        _, captured = urls.match(path, method=next(iter(urls.allowed_methods(path))))
    except Exception:  # no Flask app, no such rule, or a redirect to another path
        return False
    return not is_caught_by_all(path, captured.values())
