"""FastAPI's and Starlette's own telemetry beside ours: one server span, and theirs keeps what it has."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get, served
from tests.core.support import python

# The lane of the oldest releases has neither: there is nothing to get on with.
of_fastapi = pytest.mark.skipif(
    find_spec("fastapi.telemetry") is None, reason="this FastAPI has no telemetry of its own"
)
of_starlette = pytest.mark.skipif(
    find_spec("starlette.middleware.opentelemetry") is None,
    reason="this Starlette has no telemetry of its own",
)

PROGRAM = """
import json, sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer

exporter = InMemorySpanExporter()
reader = InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})
provider, meters = TracerProvider(), MeterProvider(metric_readers=[reader])
provider.add_span_processor(SimpleSpanProcessor(exporter))
own = {"tracer_provider": provider, "meter_provider": meters}

def observer(**settings):
    return Observer(registry=CollectorRegistry(), log_setup=False, **settings)

def wrapped(app):
    return ObservabilityMiddleware(app, observer=observer())

def added(app, **settings):
    app.add_middleware(ObservabilityMiddleware, observer=observer(**settings))
    return app

def fastapi(**keywords):
    app, sub = FastAPI(**keywords), FastAPI()
    app.get("/items/{i}")(lambda i: i)
    sub.get("/items/{i}")(lambda i: i)
    app.mount("/sub", sub)
    return app

def starlette():
    return Starlette(routes=[Route("/items/{i}", lambda request: PlainTextResponse("fine"))])

def with_theirs(app, **keywords):
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
    app.add_middleware(OpenTelemetryMiddleware, **keywords)
    return app

def around(app, **keywords):
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
    return OpenTelemetryMiddleware(app, **keywords)

def mounted(app):
    return Starlette(routes=[Mount("/", app=app)])

def tell(name, app, *paths, has_lifespan=True):
    exporter.clear()
    client = TestClient(app)
    if has_lifespan:
        client.__enter__()
    for path in paths or ("/items/1", "/items/2"):
        client.get(path)
    if has_lifespan:
        client.__exit__(None, None, None)
    data = reader.get_metrics_data()
    spans = exporter.get_finished_spans()
    print(json.dumps([name, {
        "servers": [(span.instrumentation_scope.name, span.name) for span in spans if span.kind.name == "SERVER"],
        "others": sum(span.kind.name == "INTERNAL" for span in spans),
        "counts": [point.count for resource in (data.resource_metrics if data else [])
                   for scope in resource.scope_metrics for metric in scope.metrics
                   if metric.name == "http.server.request.duration" for point in metric.data.data_points],
    }]))

def tell_all(whose, more, theirs):
    if HAS_FASTAPIS:
        tell(f"{whose} added", added(fastapi(**more)))
        tell(f"{whose} wrapped", wrapped(fastapi(**more)))
        tell(f"{whose} wrapped, no lifespan", wrapped(fastapi(**more)), has_lifespan=False)
        tell(f"{whose} behind a layer", wrapped(CORSMiddleware(fastapi(**more))))
        tell(f"{whose} mounted", wrapped(mounted(fastapi(**more))))
        tell(f"{whose} sub app", added(fastapi(**more)), "/sub/items/1")
        tell(f"{whose} probes", wrapped(fastapi(**more)), "/health/live", "/metrics", "/items/1", "/health/live")
    if HAS_STARLETTES:
        tell(f"{whose} first", added(with_theirs(starlette(), **theirs)))
        tell(f"{whose} last", with_theirs(added(starlette()), **theirs))
        tell(f"{whose} by hand", around(added(starlette()), **theirs))
        tell(f"{whose} ours around", wrapped(with_theirs(starlette(), **theirs)))
        tell(f"{whose} ours around, no lifespan", wrapped(with_theirs(starlette(), **theirs)), has_lifespan=False)
        tell(f"{whose} ours around a layer", wrapped(CORSMiddleware(with_theirs(starlette(), **theirs))))
        tell(f"{whose} in a mounted app", added(mounted(with_theirs(starlette(), **theirs))))

def use_globally():
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(meters)
"""
ITEM = "GET /items/{i}"


def told_by(code: str) -> dict[str, Any]:
    has = f"HAS_FASTAPIS = {not of_fastapi.args[0]}\nHAS_STARLETTES = {not of_starlette.args[0]}\n"
    return dict(json.loads(line) for line in python(PROGRAM + has + code).splitlines())


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What providers have got, of the apps' own and as the global ones: a process of its own can set those."""
    return told_by(
        "tell_all('own', {'telemetry': own}, {'tracer_provider': provider})\n"
        "use_globally()\n"
        "tell_all('global', {}, {})\n"
    )


@of_fastapi
@pytest.mark.parametrize("how", ["added", "wrapped", "wrapped, no lifespan"])
@pytest.mark.parametrize("whose", ["own", "global"])
def test_telemetry_of_fastapi_keeps_its_spans_and_metrics(told: Any, how: str, whose: str) -> None:
    """Ours adopts its server span, also where the middleware is wrapped around the app."""
    here = told[f"{whose} {how}"]
    assert here["servers"] == [["fastapi", ITEM]] * 2
    assert here["others"] > 0
    assert here["counts"] == [2]


@of_fastapi
@pytest.mark.parametrize("how", ["behind a layer", "mounted"])
def test_what_is_inside_ours_makes_no_second_server_span(told: Any, how: str) -> None:
    """It keeps its metrics; with a provider of its own it keeps its spans too, which go to another place."""
    assert told[f"global {how}"]["servers"] == [["obs_middleware", ITEM]] * 2
    assert told[f"own {how}"]["servers"] == [["fastapi", ITEM]] * 2
    assert told[f"global {how}"]["counts"] == told[f"own {how}"]["counts"] == [2]


@of_fastapi
@pytest.mark.parametrize("whose", ["own", "global"])
def test_mounted_app_and_its_parent_make_one_server_span(told: Any, whose: str) -> None:
    assert told[f"{whose} sub app"]["servers"] == [["fastapi", "GET /sub/items/{i}"]]
    assert len(told[f"{whose} probes"]["servers"]) == 1


@of_starlette
@pytest.mark.parametrize(
    "order",
    [
        "first",
        "last",
        "by hand",
        "ours around",
        "ours around, no lifespan",
        "ours around a layer",
        "in a mounted app",
    ],
)
def test_telemetry_of_starlette_and_ours_make_one_server_span(told: Any, order: str) -> None:
    """With a provider of its own it keeps its spans, which go to another place."""
    theirs = "starlette" if order == "by hand" else "obs_middleware"
    assert told[f"global {order}"]["servers"] == [[theirs, ITEM]] * 2
    assert told[f"own {order}"]["servers"] == [["starlette", ITEM]] * 2


@of_starlette
def test_provider_that_is_set_after_the_stack_is_built_gets_one_server_span() -> None:
    """Until then Starlette's telemetry holds OpenTelemetry's stand-in, which hands on to the provider to come."""
    code = "early = wrapped(around(starlette()))\nuse_globally()\ntell('early', early)\n"
    assert told_by(code)["early"]["servers"] == [["obs_middleware", ITEM]] * 2


@of_fastapi
def test_spans_of_a_provider_of_its_own_go_on_where_ours_are_sent_elsewhere() -> None:
    """The provider that we set up is the global one, so that FastAPI's telemetry would use it."""
    code = "elsewhere = 'http://127.0.0.1:9'\n"
    code += "tell('own', added(fastapi(telemetry=own), otlp_endpoint=elsewhere, trace_sample_ratio=0))\n"
    code += "tell('none', added(fastapi(), otlp_endpoint=elsewhere, trace_sample_ratio=0))\n"
    told = told_by(code)
    assert told["own"]["servers"] == [["fastapi", ITEM]] * 2
    assert told["none"]["servers"] == []


def with_telemetry() -> Any:
    telemetry: Any = {"tracer_provider": TracerProvider()}
    return FastAPI(telemetry=telemetry)


@of_fastapi
@pytest.mark.parametrize("call", [served, lambda app, *paths: [get(app, path) for path in paths]])
def test_errors_of_an_app_that_makes_the_span_itself_have_their_names(
    call: Any, observer: Observer, access: list[Any]
) -> None:
    """Wrapped around it we stand inside of it, from a first request without lifespan on."""

    async def boom() -> None:
        raise LookupError("nothing there")

    app = with_telemetry()
    app.get("/boom")(boom)
    call(ObservabilityMiddleware(app, observer=observer), "/boom", "/boom", "/boom")
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/boom", 500, "LookupError")
    ] * 3


@of_fastapi
@pytest.mark.parametrize("more", [lambda app: None, lambda app: app.build_middleware_stack()])
def test_app_that_makes_the_span_itself_is_observed_when_its_stack_is_built_again(
    observer: Observer, access: list[Any], more: Any
) -> None:
    app = with_telemetry()
    app.get("/items/{number}")(lambda number: number)
    observed = ObservabilityMiddleware(app, observer=observer)
    get(observed, "/items/1")
    app.middleware_stack = more(app)
    served(observed, "/items/2", "/items/3")
    assert [(line.path, line.route) for line in access] == [
        (f"/items/{number}", "/items/{number}") for number in (1, 2, 3)
    ]
