"""An app under the SDK, every trace sampled: `/items/{i}` and `/boom`."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from obs_asgi import ObservabilityMiddleware


async def item(request: Request) -> PlainTextResponse:
    return PlainTextResponse("item")


async def boom(request: Request) -> PlainTextResponse:
    raise LookupError("nothing there")


trace.set_tracer_provider(TracerProvider())
app = Starlette(routes=[Route("/items/{i}", item), Route("/boom", boom)])
app.add_middleware(ObservabilityMiddleware, service_name="shop")
