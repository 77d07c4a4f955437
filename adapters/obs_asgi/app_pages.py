"""Whether an app of Starlette or FastAPI has a route for a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from obs_asgi.wrapped_apps import apps_inside, has, has_routes
from obs_middleware.gateway import is_caught_by_all

_parameter = re.compile(r"\\{\w+(:\w+)?\\}")  # in an escaped template
_REST = "/{rest:path}"
_CONVERTORS = {":path": "(.*)", ":int": "([0-9]+)", ":float": "([0-9.]+)", ":uuid": "([0-9a-fA-F-]+)"}


def has_route(app: Any, path: str) -> bool:
    """Tell whether the app, or one that layers inside hide, has a route for a path; one for every path is none."""
    templates = chain.from_iterable(map(_templates, _all_routes(app)))
    matches = (_pattern(template).fullmatch(path) for template in templates)
    return any(match and not is_caught_by_all(path, match.groups()) for match in matches)


def _all_routes(app: Any) -> Iterator[Iterable[Any]]:
    """Yield the routes of the app, and of those inside that are asked for the same paths."""
    yield _routes(app) or ()
    inside = [inner.app for inner in apps_inside(app)]
    below = chain.from_iterable(apps_inside(child) for one in inside for child in _below_paths(one))
    elsewhere = {id(inner.app) for inner in below}
    yield from (one.routes for one in inside if has_routes(one) and id(one) not in elsewhere)


def _below_paths(app: Any) -> Iterable[Any]:
    """Return the apps that a router or a dispatcher has below paths: by mounts, in a dict or in pairs."""
    if has_routes(app):
        mounts = [route for route in app.routes if getattr(route, "path", "") and hasattr(route, "routes")]
        return [mount.app for mount in mounts if hasattr(mount, "app")]
    if type(app) is dict:
        return [child for key, child in app.items() if _is_path(key)]
    return app if type(app) in (list, tuple) and any(map(_is_path, app)) else ()


def _is_path(key: object) -> bool:
    return isinstance(key, str) and key.startswith("/") and key != "/"


def _routes(app: Any) -> Iterable[Any] | None:
    """Return the routes of an app, inside other middlewares; None where it has none."""
    while not has(app, "routes") and has(app, "app"):
        app = app.app
    return app.routes if has(app, "routes") else None


def _templates(routes: Iterable[Any], before: str = "") -> Iterator[str]:
    """Yield the templates of all routes; of a mounted app whose routes nobody knows, all that is below its path."""
    for route in routes:
        path = getattr(route, "path", None)
        if hasattr(route, "effective_route_contexts"):  # FastAPI's included router
            included = (one.starlette_route or one for one in route.effective_route_contexts())
            yield from _templates(included, before)
        elif path is None:  # a Host
            yield from _templates(getattr(route, "routes", None) or (), before)
        elif not hasattr(route, "routes"):
            if hasattr(route, "methods"):  # a websocket's has none, and is not hidden
                yield f"{before}{path}"
        else:
            inside = _routes(route.app)
            if inside is not None:
                yield from _templates(inside, f"{before}{path}")
            else:
                yield f"{before}{path}"
                yield f"{before}{path}{_REST}"


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_parameter.sub(_of_parameter, re.escape(template)))


def _of_parameter(parameter: re.Match[str]) -> str:
    return _CONVERTORS.get(parameter[1] or "", "([^/]+)")
