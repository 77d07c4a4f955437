"""An app that counts orders, for the table of docs/workers.md; each answer says which process has counted it.

Where PROMETHEUS_MULTIPROC_DIR is set, the page is that of prometheus-client's documentation, and nothing of ours runs.
`python -m tests.real.worker_app 100` leaves what so many workers leave that have counted and were killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess
from prometheus_client.exposition import choose_encoder

THEIRS = "PROMETHEUS_MULTIPROC_DIR"
SHOPS = 20
WITH_HOOK = "WITH_HOOK"

orders = Counter("orders", "Orders taken.", ("shop",))
depth = Gauge("depth", "Waiting in the queue.", multiprocess_mode="livesum")
latency = Histogram("latency_seconds", "Time taken.", ("shop",))


def answer(path: str) -> bytes:
    """Count an order of the shop that the path ends with; only `/ready` is not counted."""
    if path != "/ready":
        shop = path.rpartition("/")[2]
        orders.labels(shop).inc(1, {"trace_id": "0af7651916cd43dd8448eb211c80319c"})
        latency.labels(shop).observe(0.5)
        depth.set(1)
        time.sleep(float(os.environ.get("WORK_SECONDS", 0)))
    return str(os.getpid()).encode()


def page(accept: str) -> tuple[bytes, str]:
    """Return the page as prometheus-client's documentation of its multi-process mode makes it, and its type."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


async def raw_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["path"] == "/metrics":
        body, content_type = page(dict(scope["headers"]).get(b"accept", b"").decode())
    else:
        body, content_type = answer(scope["path"]), "text/plain"
    headers = [(b"connection", b"close"), (b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def raw_wsgi(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/metrics":
        body, content_type = page(environ.get("HTTP_ACCEPT", ""))
    else:
        body, content_type = answer(environ["PATH_INFO"]), "text/plain"
    start_response("200 OK", [("Content-Type", content_type)])
    return [body]


if THEIRS in os.environ:
    asgi, wsgi = raw_asgi, raw_wsgi
    flush: Callable[[], object] = bool
else:
    from obs_asgi import ObservabilityMiddleware as AsgiMiddleware
    from obs_middleware.queue import flush
    from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware

    def route(_: Any) -> str:
        return "/orders/{shop}"

    asgi = AsgiMiddleware(raw_asgi, access_log=False, route_of=route)
    wsgi = WsgiMiddleware(raw_wsgi, access_log=False, route_of=route)


def _ask(path: str) -> None:
    """Send a request to the app without a server."""
    environ: dict[str, Any] = {"PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)

    def start(*_: Any) -> Any:
        return None

    body = wsgi(environ, start)
    list(body)
    getattr(body, "close", bool)()


def die() -> None:
    """Count an order of each shop, as a worker does, and be killed."""
    for shop in range(SHOPS):
        _ask(f"/orders/{shop}")
    flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if not child:
            die()
        os.waitpid(child, 0)
        if WITH_HOOK in os.environ:
            multiprocess.mark_process_dead(child)
