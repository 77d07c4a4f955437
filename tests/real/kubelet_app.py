"""An app with a slow start, a dependency and a page that stops the event loop; files in FOLDER say how it goes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer

FOLDER = Path(os.environ["FOLDER"])
observer = Observer()


@observer.lifecycle.initialiser
async def load_model() -> None:
    while not (FOLDER / "model").exists():
        await asyncio.sleep(0.02)


@observer.health.check("database", every_seconds=1.0, timeout_seconds=30.0)
def database() -> bool:
    return (FOLDER / "database").exists()


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    if scope["path"] == "/hang":
        (FOLDER / "hangs").touch()
        time.sleep(600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


app = ObservabilityMiddleware(_app, observer)
