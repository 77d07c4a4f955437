"""An app whose requests take as long as they say, without anybody having to wait: `/took/{seconds}`."""

from __future__ import annotations

from time import perf_counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from obs_asgi import ObservabilityMiddleware
from obs_middleware import current_exchange


async def took(request: Request) -> PlainTextResponse:
    exchange = current_exchange()
    assert exchange is not None
    exchange.started = perf_counter() - float(request.path_params["seconds"])
    return PlainTextResponse("")


app = Starlette(routes=[Route("/took/{seconds}", took)])
app.add_middleware(ObservabilityMiddleware, service_name="shop", native_histograms=True)
