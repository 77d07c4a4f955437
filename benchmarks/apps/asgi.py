"""FastAPI, Starlette and a raw ASGI app, and what is put around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from benchmarks import telemetry
from benchmarks.apps.asgi_middleware import AccessLine, Binding, NoOp
from benchmarks.variants import BOUND, OURS, VARIANTS, settings

CHUNKS = 100

Add = Callable[[Any], Any]


def build(framework: str, variant: str, routes: int) -> Any:
    """Return the app of one of the three frameworks."""
    native = {"telemetry": _native(VARIANTS[variant].ratio)} if variant.startswith("native") else {}
    app = {"fastapi": _fastapi, "starlette": _starlette, "asgi": _raw}[framework](routes, **native)
    return variants(framework)[variant](app)


def variants(framework: str) -> dict[str, Add]:
    """Return what can be put around the framework's app."""
    adds: dict[str, Add] = {
        "bare": lambda app: app,
        "no-op": lambda app: _add(app, NoOp),
        "request-id": _correlation_id,
        "line": lambda app: _add(app, AccessLine, logger=telemetry.json_log()),
        "otel-10": lambda app: _opentelemetry(app, 0.1),
        "otel-100": lambda app: _opentelemetry(app, 1.0),
        **{name: _ours(name) for name in OURS},
        BOUND: lambda app: _ours(BOUND)(_add(app, Binding)),
    }
    if framework != "asgi":
        adds |= {
            "instrumentator": _instrumentator,
            "starlette-exporter": _starlette_exporter,
            "exposed": _exposed,
            "assembled-10": lambda app: _assembled(app, 0.1),
            "assembled-100": lambda app: _assembled(app, 1.0),
        }
    if framework != "starlette":  # its instrumentation has no such switch
        adds |= {
            "otel-slim-10": lambda app: _opentelemetry(app, 0.1, exclude_spans=["send", "receive"]),
            "otel-slim-100": lambda app: _opentelemetry(app, 1.0, exclude_spans=["send", "receive"]),
        }
    if framework == "fastapi":
        adds |= {"native-10": lambda app: app, "native-100": lambda app: app}
    return adds


def _fastapi(routes: int, **keywords: Any) -> Any:
    from fastapi import FastAPI
    from starlette.responses import StreamingResponse

    app = FastAPI(**keywords)

    async def item(item: int) -> dict[str, int]:
        return {"item": item}

    async def stream() -> Any:
        return StreamingResponse(_pieces(), media_type="text/plain")

    for number in range(routes):
        app.get(f"/r{number}/{{item}}")(item)
    app.get("/stream", response_model=None)(stream)
    return app


def _starlette(routes: int) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def item(request: Any) -> JSONResponse:
        return JSONResponse({"item": int(request.path_params["item"])})

    return Starlette(routes=[Route(f"/r{number}/{{item}}", item) for number in range(routes)])


def _raw(routes: int) -> Any:
    # It has no routes; where ours is installed it names its route itself, as such apps do.
    from obs_middleware import current_exchange

    known = {f"r{number}" for number in range(routes)}
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        _, name, item = scope["path"].split("/", 2)
        status = 200 if name in known else 404
        exchange = current_exchange()
        if exchange is not None and status == 200:
            exchange.route = f"/{name}/{{item}}"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"item":%s}' % item.encode()})

    return app


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        yield b"0123456789abcdef"


def _add(app: Any, middleware: Any, **keywords: Any) -> Any:
    if not hasattr(app, "add_middleware"):
        return middleware(app, **keywords)
    app.add_middleware(middleware, **keywords)
    return app


def _ours(name: str) -> Add:
    def add(app: Any) -> Any:
        from obs_asgi import ObservabilityMiddleware

        return _add(app, ObservabilityMiddleware, **settings(name))

    return add


def _correlation_id(app: Any) -> Any:
    from asgi_correlation_id import CorrelationIdMiddleware

    return _add(app, CorrelationIdMiddleware)


def _instrumentator(app: Any) -> Any:
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator().instrument(app).expose(app)
    return app


def _starlette_exporter(app: Any) -> Any:
    from starlette_exporter import PrometheusMiddleware, handle_metrics

    app.add_route("/metrics", handle_metrics)
    return _add(app, PrometheusMiddleware)


def _exposed(app: Any) -> Any:
    from prometheus_client import make_asgi_app

    app.mount("/metrics", make_asgi_app())
    return app


def _opentelemetry(app: Any, ratio: float, **keywords: Any) -> Any:
    provider = telemetry.provider(ratio)
    if not hasattr(app, "add_middleware"):
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        return OpenTelemetryMiddleware(app, tracer_provider=provider, **keywords)
    if type(app).__name__ == "FastAPI":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, **keywords)
    else:
        from opentelemetry.instrumentation.starlette import StarletteInstrumentor

        StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    return app


def _native(ratio: float) -> dict[str, Any]:
    return {"tracer_provider": telemetry.provider(ratio), "operation_spans": False}


def _assembled(app: Any, ratio: float) -> Any:
    from asgi_correlation_id import CorrelationIdFilter

    _add(app, AccessLine, logger=telemetry.json_log(CorrelationIdFilter()))
    _instrumentator(app)
    _correlation_id(app)
    slim = {"exclude_spans": ["send", "receive"]} if type(app).__name__ == "FastAPI" else {}
    return _opentelemetry(app, ratio, **slim)
