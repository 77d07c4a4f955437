"""What an ASGI scope tells of its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obs_middleware import RequestInfo
from obs_middleware.gateway import scope_request_info, with_header_names


def named_request_info(scope: Mapping[str, Any], context_headers: tuple[bytes, ...]) -> RequestInfo:
    """Return the same with the names of the headers, for the few who need them."""
    info = scope_request_info(scope, context_headers)
    return with_header_names(info, lambda: [name.decode("latin-1") for name, _ in scope["headers"]])


def own_path(scope: Mapping[str, Any]) -> str:
    """Return a scope's path below the app's root (ASGI specification, `root_path`)."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))
