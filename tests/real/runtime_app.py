"""An app whose view blocks the event loop."""

from __future__ import annotations

import time
from typing import Any

from obs_asgi import ObservabilityMiddleware


async def block(scope: Any, receive: Any, send: Any) -> None:
    """Block the loop for 300 ms, and answer."""
    if scope["type"] != "http":
        raise NotImplementedError  # no lifespan here
    time.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"late"})


app = ObservabilityMiddleware(block)
