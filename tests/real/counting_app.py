"""An app whose own metrics are made before ours are imported; each answer says which process has counted it."""

from __future__ import annotations

import os
import time
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

orders = Counter("orders", "Orders taken.", ("status",))
depth = Gauge("depth", "Waiting in the queue.", multiprocess_mode="livesum")
latency = Histogram("shop_latency_seconds", "Time taken.", buckets=(0.1, 1.0))
orders.labels("imported").inc()

from obs_asgi import ObservabilityMiddleware as AsgiMiddleware  # noqa: E402
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware  # noqa: E402


def count() -> bytes:
    orders.labels("paid").inc(1, {"trace_id": "0af7651916cd43dd8448eb211c80319c"})
    depth.set(1)
    latency.observe(0.5)
    time.sleep(0.005)  # so that one process does not take them all
    return str(os.getpid()).encode()


async def raw_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    body = count()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def raw_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [count()]


asgi = AsgiMiddleware(raw_asgi, access_log=False)
wsgi = WsgiMiddleware(raw_wsgi, access_log=False)
