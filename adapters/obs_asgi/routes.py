"""The route template of a scope that Starlette or FastAPI has routed; the app's routes are not matched again.

Starlette puts `route` in the scope (before 1.0 `endpoint` alone). FastAPI from 0.137 on keeps the prefix of an included
router in an entry of its own. A mount moves its part of the path to `root_path`. Where a mount has parameters that
part is full of values, and is matched against the templates of those mounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Template = tuple[re.Pattern[str], str]

_group_name = re.compile(r"\?P<\w+>")
_UNKNOWN_MOUNT = "/{mount}"  # a path is made of values
_MOUNT_REST = "/(?P<path>.*)$"


class Routes:
    """The route templates of one app.

    Args:
        app: a Starlette or FastAPI app, or any other, whose scopes then name no route.
    """

    def __init__(self, app: Any) -> None:
        self._app = _router(app)
        self._mounts: list[Template] | None = None
        self._literal: set[str] = set()
        self._endpoints: dict[int, list[Template]] | None = None

    def before(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """Return the part of `root_path` that a scope comes in with, and the part of it that a template shows.

        Mounts around us are not ours to know: one with parameters is left out, since its path is made of values.
        """
        root: str = scope.get("root_path", "")
        return root, scope.get("app_root_path", root) if scope.get("path_params") else root

    def template(self, scope: Mapping[str, Any], before: tuple[str, str]) -> str | None:
        """Return the template of a scope that has been routed; `before` is what the method of that name gave."""
        route, (root, prefix) = scope.get("route"), before
        if route is None:
            return self._of_endpoint(scope, root, prefix) if "endpoint" in scope else None
        mounted = scope.get("root_path", "")
        if root:
            mounted = mounted[len(root) :]
        if hasattr(route, "routes"):  # a mount of what is no router, or of one that knows no such path
            return f"{prefix}{self._mount(mounted) if mounted else ''}/{{path}}"
        fastapi = scope.get("fastapi")
        if fastapi:
            included = fastapi.get("effective_route_context")
            if included is not None and included.original_route is route:
                route = included.starlette_route or included
        path = getattr(route, "path_format", None)
        return None if path is None else f"{prefix}{self._mount(mounted) if mounted else ''}{path}"

    def _mount(self, path: str) -> str:
        if self._mounts is None:
            found = _templates(getattr(self._app, "routes", ()))
            self._mounts = [(pattern, text) for pattern, text, _, is_mount in found if is_mount]
            self._literal = {text for _, text in self._mounts if "{" not in text}
        if path in self._literal:
            return path
        return next((text for pattern, text in self._mounts if pattern.fullmatch(path)), _UNKNOWN_MOUNT)

    def _of_endpoint(self, scope: Mapping[str, Any], root: str, prefix: str) -> str | None:
        if self._endpoints is None:
            self._endpoints = {}
            for pattern, text, endpoint, is_mount in _templates(getattr(self._app, "routes", ())):
                candidates = self._endpoints.setdefault(id(endpoint), [])
                candidates.append((pattern, f"{text}/{{path}}" if is_mount else text))
        candidates = self._endpoints.get(id(scope["endpoint"]), [])
        if len(candidates) > 1:  # one function at several paths
            path = scope["path"].removeprefix(root)
            candidates = [(pattern, text) for pattern, text in candidates if pattern.fullmatch(path)]
        return f"{prefix}{candidates[0][1]}" if candidates else None


def _router(app: Any) -> Any:
    """Return the app that has routes, inside other middlewares."""
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    return app


def _templates(
    routes: Iterable[Any], before: str = "", text: str = ""
) -> Iterator[tuple[re.Pattern[str], str, Any, bool]]:
    """Yield (pattern, template, endpoint, whether it is a mount) of all routes, mounts first to last and inwards."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # FastAPI's included router
            included = (context.starlette_route for context in route.effective_route_contexts())
            yield from _templates(filter(None, included), before, text)
        elif not hasattr(route, "path_regex"):  # a Host
            yield from _templates(getattr(route, "routes", ()), before, text)
        else:
            is_mount = hasattr(route, "routes")
            pattern = route.path_regex.pattern.removeprefix("^")
            pattern = before + _group_name.sub("", pattern.removesuffix(_MOUNT_REST if is_mount else "$"))
            path = text + (route.path_format.removesuffix("/{path}") if is_mount else route.path_format)
            yield re.compile(pattern), path, getattr(route, "app" if is_mount else "endpoint", None), is_mount
            if is_mount:
                yield from _templates(getattr(_router(route.app), "routes", None) or (), pattern, path)
