"""Apps that export into the file which the variable FILE names: `asgi` and `wsgi`."""

from __future__ import annotations

import os
from typing import Any

from obs_asgi import ObservabilityMiddleware as Asgi
from obs_middleware import Observer
from obs_middleware.export import JsonFile
from obs_wsgi import ObservabilityMiddleware as Wsgi

observer = Observer(service_name="shop")
orders = observer.metrics.counter("orders", "Orders.")
observer.exporters.add(JsonFile(os.environ["FILE"], interval_seconds=60))


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    orders.inc()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    orders.inc()
    start_response("200 OK", [])
    return [b""]


asgi, wsgi = Asgi(_asgi, observer), Wsgi(_wsgi, observer)
