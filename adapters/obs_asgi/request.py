"""What an ASGI scope tells of its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obs_middleware import RequestInfo
from obs_middleware.gateway import scope_header_names, scope_request_info, with_header_names


def named_request_info(scope: Mapping[str, Any], context_headers: tuple[bytes, ...]) -> RequestInfo:
    """Return the same with the names of the headers, for the few who need them."""
    info = scope_request_info(scope, context_headers)
    return with_header_names(info, lambda: scope_header_names(scope))


def own_path(scope: Mapping[str, Any]) -> str:
    """Return a scope's path below the app's root (ASGI specification, `root_path`)."""
    path, root = scope.get("path"), scope.get("root_path")
    if not isinstance(path, str):
        return ""
    return path.removeprefix(root) if isinstance(root, str) else path
