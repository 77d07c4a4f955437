"""Whether a Django project has a pattern for a path."""

from __future__ import annotations

from typing import Any

from django.core.signals import request_started
from django.urls import resolve

from obs_middleware.gateway import Gateway, is_caught_by_all


def look_at_first_request(gateway: Gateway) -> None:
    """Let the first request, which loads the URLs anyhow, warn of the project's own pages at paths of ours."""
    gateway.look_for_pages(has_pattern)

    def look(sender: object, **_: Any) -> None:
        request_started.disconnect(look)
        gateway.started()

    request_started.connect(look, weak=False)


def has_pattern(path: str) -> bool:
    """Tell whether the project has a pattern for a path; one for every path is none."""
    try:
        match = resolve(path)
    except Exception:  # Resolver404, or a fault of the project's, which the request itself will show
        return False
    return not is_caught_by_all(path, (*match.args, *match.kwargs.values()))
