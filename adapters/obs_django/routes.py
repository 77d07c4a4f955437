"""Route templates: the pattern that Django has matched, without the anchors of regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import get_resolver
from django.urls.resolvers import URLResolver

from obs_middleware.gateway import mount_of_route

_anchor = re.compile(r"(?<![\[\\])\^|(?<!\\)\$|\\Z")


def route_of(request: HttpRequest) -> str | None:
    """Return the pattern that was matched, mount point included; the anchors of regular expressions are left out."""
    match = request.resolver_match
    if match is None or match.route is None:
        return None
    mount, route = request.META.get("SCRIPT_NAME"), _without_anchors(match.route)
    if mount:
        mount = mount_of_route(request.META, request.__dict__.get("scope"))
    return f"{mount.rstrip('/')}{route}" if mount else route


def route_below(request: HttpRequest) -> str | None:
    """Return the pattern that was matched, without the mount point."""
    match = request.resolver_match
    return None if match is None or match.route is None else _without_anchors(match.route)


@cache  # as many as there are patterns
def _without_anchors(route: str) -> str:
    return f"/{_anchor.sub('', route)}"


def view_name(route: str) -> str:
    """Return the name of the view of a route, as `ResolverMatch.view_name` has it; the route where there is none."""
    return _view_names().get(route, route)


@cache
def _view_names() -> dict[str, str]:
    resolver: Any = get_resolver()
    return dict(_named(resolver.url_patterns, "", ()))


def _named(patterns: Iterable[Any], before: str, namespaces: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the route and the view's name of each pattern."""
    for one in patterns:
        route = f"{before}{one.pattern}"
        if isinstance(one, URLResolver):
            included: Any = one
            inner = namespaces if included.namespace is None else (*namespaces, included.namespace)
            yield from _named(included.url_patterns, route, inner)
        else:
            yield _without_anchors(route), ":".join((*namespaces, one.name or one.lookup_str))
