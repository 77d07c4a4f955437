"""Apps that get stuck at `/stuck`, each with a check of a group: `asgi` and `wsgi`.

They go on once there is a file `go-on` in FOLDER; the file `stuck` there has a byte for each request that is stuck.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from obs_asgi import ObservabilityMiddleware as Asgi
from obs_middleware import Observer
from obs_wsgi import ObservabilityMiddleware as Wsgi

FOLDER = Path(os.environ["FOLDER"])
PAGE = b"a page of the app"
observer = Observer()
observer.health.add("stock", lambda: None, timeout_seconds=30.0, groups=("ready", "orders"))


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    _get_stuck(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": PAGE})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    _get_stuck(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [PAGE]


def _get_stuck(path: str) -> None:
    if path == "/stuck":
        with (FOLDER / "stuck").open("ab", buffering=0) as file:
            file.write(b".")
        while not (FOLDER / "go-on").exists():
            time.sleep(0.02)  # in the loop


asgi, wsgi = Asgi(_asgi, observer), Wsgi(_wsgi, observer)
