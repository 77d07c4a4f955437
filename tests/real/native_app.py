"""An app whose requests take as long as they say, without anybody having to wait: `/took/{seconds}`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from obs_asgi import ObservabilityMiddleware, response
from obs_middleware import Observer, current_exchange

NOW = 1000.0  # the clock of requests stands still, so that a slow machine adds nothing


class Took:
    """Sends an empty response, as long after the request's begin as its path says."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = current_exchange()
        assert exchange is not None
        exchange.started = NOW - float(scope["path_params"]["seconds"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


observer = Observer(service_name="shop", native_histograms=True)
observer.gateway.perf_counter = response.__dict__["perf_counter"] = lambda: NOW
app = Starlette(routes=[Route("/took/{seconds}", Took())])
app.add_middleware(ObservabilityMiddleware, observer=observer)
