"""The page by which a preStop hook begins the drain: `POST /health/drain`, for who brings the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from obs_middleware.ops.endpoints import Endpoint
from obs_middleware.reply import Reply

if TYPE_CHECKING:
    from obs_middleware.lifecycle import Lifecycle
    from obs_middleware.ops.access import Access
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


def drain_endpoint(settings: Settings, lifecycle: Lifecycle, access: Access) -> Endpoint:
    """Return the endpoint; without a token there is none."""

    def answer(_info: RequestInfo, _is_authorised: bool) -> Reply:
        lifecycle.drain_all()
        content = {"status": lifecycle.state, "drain_seconds": lifecycle.drain_seconds}
        return Reply(202, _HEADERS, msgspec.json.encode(content))

    return Endpoint(
        settings.drain_path if settings.health_token is not None else None,
        answer,
        access.token_rule("health"),
        thread_name="obs-drain",
        methods=("POST",),
    )
