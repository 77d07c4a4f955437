"""An app whose requests take as long as they say, without anybody having to wait: `/took/{seconds}`."""

from __future__ import annotations

from time import perf_counter

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from obs_asgi import ObservabilityMiddleware
from obs_middleware import current_exchange


class Took:
    """Sends an empty response; when it began is said anew before each part, so that a slow machine adds little."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, seconds = current_exchange(), float(scope["path_params"]["seconds"])
        assert exchange is not None
        exchange.started = perf_counter() - seconds
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        exchange.started = perf_counter() - seconds
        await send({"type": "http.response.body", "body": b""})


app = Starlette(routes=[Route("/took/{seconds}", Took())])
app.add_middleware(ObservabilityMiddleware, service_name="shop", native_histograms=True)
