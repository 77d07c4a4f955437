"""The route template of a scope that Starlette or FastAPI has routed; the app's routes are not matched again.

Starlette puts `route` in the scope (before 1.0 `endpoint` alone). FastAPI from 0.137 on keeps the prefix of an included
router in an entry of its own. A mount moves its part of the path to `root_path`. Where a mount has parameters that
part is full of values, and is matched against the templates of those mounts.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from obs_middleware.gateway import CARRIER_KEY

Template = tuple[re.Pattern[str], str]
RouteOf = Callable[[Mapping[str, Any]], "str | None"]

_UNTIL_TOLD = 10
_NO_ROUTES = (
    "obs-middleware: none of %d responses had a route, so that all share one series: if the app has routes, give "
    "ObservabilityMiddleware(app, route_of=…), or set current_exchange().route"
)
_logger = logging.getLogger("obs")
_parameter_name = re.compile(r"\{(\w+)")
_group_name = re.compile(r"\?P<\w+>")
_UNKNOWN_MOUNT = "/{mount}"  # a path is made of values
_MOUNT_REST = "/(?P<path>.*)$"


class Routes:
    """The route templates of what is inside a middleware.

    Args:
        apps: the apps and routers of Starlette inside, outermost first.
        template_of: reads the template below the root path of an app of another framework.
        route_of: the user's own way to read the route from a scope.
    """

    def __init__(
        self,
        apps: Sequence[Any] = (),
        *,
        template_of: RouteOf | None = None,
        route_of: RouteOf | None = None,
    ) -> None:
        self.has_none = True  # so far
        self._until_told = _UNTIL_TOLD
        self._apps = apps
        self._template_of = template_of
        self._route_of = route_of
        self._is_below = False  # around one route alone: the templates are those of the app around us
        self._lists: list[Any] = []  # of routes, as the apps have them
        self._read: list[Any] = []  # the same lists as they were when they were read
        self._mounts: list[Template] = []
        self._mounted: set[int] = set()  # the identities of mounted apps
        self._literal: set[str] = set()
        self._endpoints: dict[int, list[Template]] = {}

    def before(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """Return the part of `root_path` that a scope comes in with, and the part of it that a template shows.

        Mounts around us are not ours to know: one with parameters is left out, since its path is made of values.
        """
        root: str = scope.get("root_path", "")
        return root, scope.get("app_root_path", root) if scope.get("path_params") else root

    def template(self, scope: Mapping[str, Any], before: tuple[str, str]) -> str | None:
        """Return the template of a scope that has been routed; `before` is what the method of that name gave."""
        if self._route_of is not None:
            return self._route_of(scope)
        route, (root, prefix) = scope.get("route"), before
        mounted = scope.get("root_path", "")
        if root:
            mounted = mounted.removeprefix(root)
        if route is None or hasattr(route, "routes"):
            is_of_others = self._template_of is not None or "path_template" in scope
            template = self._of_others(scope) if is_of_others else None
            if template is None and route is None and "endpoint" in scope:
                return self._of_endpoint(scope, root, prefix)
            if template is None and route is not None:
                template = "/{path}"  # a mount of what is no router, or of one that knows no such path
        else:
            fastapi = scope.get("fastapi")
            if fastapi:
                included = fastapi.get("effective_route_context")
                if included is not None and included.original_route is route:
                    route = included.starlette_route or included
            template = getattr(route, "path_format", None)
        if template is None:
            return None
        return f"{prefix}{self._below(mounted, template, scope) if mounted else template}"

    def _below(self, mounted: str, template: str, scope: Mapping[str, Any]) -> str:
        """Return a template below what mounts and layers inside have moved to `root_path`."""
        mount = self._mount(mounted)
        if mount == _UNKNOWN_MOUNT:
            root = scope["root_path"]
            own = root.removeprefix(scope.get("app_root_path", root))  # of mounts
            known = f"{self._mount(own) if own else ''}{template}"
            before = self._of_layers(root.removesuffix(own), mounted.removesuffix(own), known, scope)
            return f"{mount}{template}" if before is None else f"{before}{known}"
        return f"{mount}{template}"

    def _of_layers(self, root: str, layers: str, template: str, scope: Mapping[str, Any]) -> str | None:
        """Return what a route shows of a prefix that layers inside have put before `root_path`, None if of values.

        A proxy may have stripped it; then neither the path nor the route has it.
        """
        known = set(_parameter_name.findall(template))
        if (
            not layers
            or template.startswith(_UNKNOWN_MOUNT)
            or not known.issuperset(scope.get("path_params") or ())
        ):
            return None
        outer = scope.get(CARRIER_KEY)
        path: str = scope["path"] if outer is None else outer.info.path
        return layers if path.startswith(root) else ""

    def entered(
        self, root: str, before: tuple[str, str], path: str, *, has_parameters: bool
    ) -> tuple[str, str]:
        """Return what `before` does for an app inside, which is entered with a root path.

        Args:
            root: the root path.
            before: what `before` has returned for the app around it.
            path: the request's.
            has_parameters: the root path has values of them.
        """
        outer, prefix = before
        mounted = root.removeprefix(outer)
        if not mounted:
            return root, prefix
        template = self._mount(mounted)
        if template == _UNKNOWN_MOUNT and not has_parameters:  # set by a layer, which has no values
            template = self._with_rest(mounted) if path.startswith(root) else ""  # stripped by a proxy
        return root, f"{prefix}{template}"

    def miss(self, status: int | None, method: str) -> None:
        """Note a response without a route, and say once that no response has one, which is certainly no design."""
        if self.has_none and method in ("GET", "POST") and status is not None and status < 400:
            self._until_told -= 1
            if self._until_told == 0:
                _logger.warning(_NO_ROUTES, _UNTIL_TOLD)

    def _of_others(self, scope: Mapping[str, Any]) -> str | None:
        template = scope.get("path_template")  # Litestar's
        if isinstance(template, str):
            return template
        return None if self._template_of is None else self._template_of(scope)

    def _mount(self, path: str) -> str:
        self._read_again()
        if path in self._literal:
            return path
        return next((text for pattern, text in self._mounts if pattern.fullmatch(path)), _UNKNOWN_MOUNT)

    def _with_rest(self, path: str) -> str:
        """Return the template of the mount at the beginning of a path, and the rest as it is, which a layer has set."""
        found = ((pattern.match(path), text) for pattern, text in self._mounts)
        ends = [(match.end(), text) for match, text in found if match and path.startswith("/", match.end())]
        end, text = max(ends, default=(0, ""))
        return f"{text}{path[end:]}"

    def _of_endpoint(self, scope: Mapping[str, Any], root: str, prefix: str) -> str | None:
        self._read_again()
        endpoint = id(scope["endpoint"])
        candidates = self._endpoints[endpoint] if endpoint in self._endpoints else []  # noqa: SIM401 (no call)
        if not candidates and "router" in scope and not self._apps:
            self._apps, self._lists, self._is_below = [scope["router"]], [], True
            return self._of_endpoint(scope, root, prefix)
        inside = scope["app_root_path"] if "app_root_path" in scope else scope.get("root_path", "")
        if self._is_below:
            root = prefix = inside = scope.get("app_root_path", "")
        elif root and root == scope.get("root_path") and endpoint in self._mounted:
            return f"{prefix}/{{path}}"  # it was led here by a mount, and found nothing
        if len(candidates) > 1:  # one function at several paths
            path = scope["path"].removeprefix(inside).removeprefix(root)
            candidates = [(pattern, text) for pattern, text in candidates if pattern.fullmatch(path)]
        if not candidates:
            return None
        template = candidates[0][1]
        if inside == root:
            return f"{prefix}{template}"
        if root.startswith(inside):  # the template has the mounts inside, and so may the prefix
            return f"{prefix.removesuffix(self._mount(root[len(inside) :]))}{template}"
        layers = self._of_layers(inside, inside.removeprefix(root), template, scope)
        return f"{prefix}{layers or ''}{template}"

    def _read_again(self) -> None:
        """Read the templates, at first and when routes have been added or taken away."""
        if self._lists and self._lists == self._read:
            return
        self._lists, self._mounts, self._mounted, self._endpoints = [], [], set(), {}
        for app in self._apps:
            for pattern, text, endpoint, is_mount in _templates(app.routes, self._lists):
                candidates = self._endpoints.setdefault(id(endpoint), [])
                candidates.append((pattern, f"{text}/{{path}}" if is_mount else text))
                if is_mount:
                    self._mounts.append((pattern, text))
                    self._mounted.add(id(endpoint))
        self._literal = {text for _, text in self._mounts if "{" not in text}
        self._lists = self._lists or [()]
        self._read = [list(routes) if isinstance(routes, list) else routes for routes in self._lists]


def _router(app: Any) -> Any:
    """Return the app that has routes, inside other middlewares."""
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    return app


def _templates(
    routes: Sequence[Any], lists: list[Any], before: str = "", text: str = ""
) -> Iterator[tuple[re.Pattern[str], str, Any, bool]]:
    """Yield (pattern, template, endpoint, whether it is a mount) of all routes, mounts first to last and inwards.

    Each list of routes is added to `lists`.
    """
    lists.append(routes)
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # FastAPI's included router
            included = [context.starlette_route for context in route.effective_route_contexts()]
            yield from _templates([route for route in included if route is not None], lists, before, text)
        elif not hasattr(route, "path_regex"):  # a Host
            inner = getattr(_router(getattr(route, "app", None)), "routes", None) or ()
            yield from _templates(inner, lists, before, text)
        else:
            is_mount = hasattr(route, "routes")
            pattern = route.path_regex.pattern.removeprefix("^")
            pattern = before + _group_name.sub("", pattern.removesuffix(_MOUNT_REST if is_mount else "$"))
            path = text + (route.path_format.removesuffix("/{path}") if is_mount else route.path_format)
            yield re.compile(pattern), path, getattr(route, "app" if is_mount else "endpoint", None), is_mount
            if is_mount:
                inner = getattr(_router(route.app), "routes", None) or ()
                yield from _templates(inner, lists, pattern, path)
