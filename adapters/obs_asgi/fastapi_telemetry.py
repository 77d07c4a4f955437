"""Getting on with FastAPI's native telemetry (FastAPI 0.142 and later), which stands outside every middleware.

It wakes up as soon as there is a global TracerProvider. Where that is the user's, its server span is adopted; where we
have made it, the span is ours. In both cases it learns to leave the probes alone. Its configuration is reached by a
private attribute: should that go, probes are traced and the native span is adopted.
"""

from __future__ import annotations

from typing import Any

from obs_asgi.request import own_path
from obs_middleware.gateway import Gateway


def agree_with_telemetry(app: Any, gateway: Gateway) -> None:
    """Agree with an app's native telemetry, if it has any, on who traces what."""
    config = getattr(app, "_telemetry", None)
    if not isinstance(config, dict):
        return
    if gateway.has_own_provider:
        config["tracing"] = False
    if config.get("exclude", "") is None:
        config["exclude"] = lambda scope: own_path(scope) in gateway.paths
