"""Whether an app of Starlette or FastAPI has a route for a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from obs_middleware.gateway import is_caught_by_all

_parameter = re.compile(r"\\{\w+(:\w+)?\\}")  # in an escaped template
_REST = "/{rest:path}"


def has_route(app: Any, path: str) -> bool:
    """Tell whether the app has a route for a path; one for every path is none."""
    matches = (_pattern(template).fullmatch(path) for template in _templates(_routes(app) or ()))
    return any(match and not is_caught_by_all(path, match.groups()) for match in matches)


def _routes(app: Any) -> Iterable[Any] | None:
    """Return the routes of an app, inside other middlewares; None where it has none."""
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    return getattr(app, "routes", None)


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
    return "(.*)" if parameter[1] == ":path" else "([^/]+)"
