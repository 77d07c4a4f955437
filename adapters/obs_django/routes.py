"""Route templates: the pattern that Django has matched, without the anchors of regular expressions."""

from __future__ import annotations

import re
from functools import cache

from django.http import HttpRequest

from obs_middleware.gateway import shown_mount

_anchor = re.compile(r"(?<![\[\\])\^|(?<!\\)\$|\\Z")


def route_of(request: HttpRequest) -> str | None:
    """Return the pattern that was matched, mount point included; the anchors of regular expressions are left out."""
    match = request.resolver_match
    if match is None or match.route is None:
        return None
    mount, route = request.META.get("SCRIPT_NAME"), _without_anchors(match.route)
    if mount:
        mount = shown_mount(request.META, request.__dict__.get("scope"))
    return f"{mount.rstrip('/')}{route}" if mount else route


def route_below(request: HttpRequest) -> str | None:
    """Return the pattern that was matched, without the mount point."""
    match = request.resolver_match
    return None if match is None or match.route is None else _without_anchors(match.route)


@cache  # as many as there are patterns
def _without_anchors(route: str) -> str:
    return f"/{_anchor.sub('', route)}"
