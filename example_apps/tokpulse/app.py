"""The web side of tokpulse.

The one line is `app.add_middleware(ObservabilityMiddleware)`: it alone gives request IDs, traces, metrics, logs
and probes. The extras are an Observer with checks and metrics of our own (telemetry.py), spans, and `bind()`. It binds
fields that are on every log line of the request.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar
from uuid import uuid4

from fastapi import Cookie, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from example_apps.tokpulse import events, queue, storage, telemetry, tenants, webhooks, widgets
from example_apps.tokpulse.api_metrics import ApiMetrics
from example_apps.tokpulse.experiments import WIDGET_LAYOUT
from example_apps.tokpulse.queue import Topic
from example_apps.tokpulse.storage import UNKNOWN_STORE, Store
from example_apps.tokpulse.webhooks import Order
from example_apps.tokpulse.widgets import PaintBeacon, Surface
from obs_asgi import ObservabilityMiddleware
from obs_middleware import bind, current_exchange

MOST_BYTES = 2**18  # of a body
VISITOR = "tokpulse_visitor"  # the cookie

Parsed = TypeVar("Parsed", bound=BaseModel)
logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    storage.create()
    storage.create(queue.SCHEMA)
    yield


app = FastAPI(title="tokpulse", lifespan=lifespan)
app.add_middleware(ApiMetrics)
app.add_middleware(ObservabilityMiddleware, observer=telemetry.observer)  # added last: around everything


@app.post("/webhooks/{topic}", status_code=202)
async def receive_webhook(topic: Topic, request: Request) -> dict[str, str]:
    """Keep a webhook for the workers, if its signature says that a shop has sent it."""
    body = await _body_of(request)
    if not webhooks.is_signed(topic.value, body, request.headers.get(webhooks.SIGNATURE_HEADER, "")):
        telemetry.WEBHOOKS.labels(topic.value, UNKNOWN_STORE.id, "rejected").inc()
        logger.warning("webhook refused: its signature is not one of ours")
        raise HTTPException(
            401, f"{webhooks.SIGNATURE_HEADER} must be sha256=HMAC of topic, newline and body"
        )
    order = _parsed(Order, body)
    is_new = await run_in_threadpool(_take_order, topic, order, request)
    return {"status": "queued" if is_new else "duplicate"}


def _take_order(topic: Topic, order: Order, request: Request) -> bool:
    store = storage.find_store(order.store_id)
    _serve_for(store, request, adds_job=True)
    logger.info("webhook received", extra={"topic": topic.value, "order": order.model_dump()})
    is_new = webhooks.enqueue(topic.value, order, store)
    if not is_new:
        telemetry.webhook_ended(topic.value, store, "duplicate")
    return is_new


@app.get("/widgets/{surface}", response_class=HTMLResponse)
def show_widget(
    surface: Surface,
    store_id: str,
    request: Request,
    response: Response,
    currency: str = "EUR",
    visitor_id: Annotated[str | None, Cookie(alias=VISITOR)] = None,
) -> str:
    store = storage.find_store(store_id)
    _serve_for(store, request)
    logger.info("widget asked for: %s", request.url)  # a URL may hold secrets: redaction takes them out
    if visitor_id is None:
        visitor_id = uuid4().hex
        response.set_cookie(VISITOR, visitor_id, httponly=True, samesite="lax")
        telemetry.ASSIGNMENT.labels(WIDGET_LAYOUT.name, WIDGET_LAYOUT.assigned(visitor_id), store.id).inc()
    page = widgets.show(surface.value, store, visitor_id=visitor_id, currency=currency)
    telemetry.tenant_event(store, "widget")
    return page


@app.post("/beacons/lcp", status_code=204)
async def take_paint_beacon(request: Request) -> None:
    """Take what a page tells of its paint; `sendBeacon` sends it as plain text."""
    beacon = _parsed(PaintBeacon, await _body_of(request))
    store = await run_in_threadpool(storage.find_store, beacon.store_id)
    _serve_for(store, request)
    telemetry.WIDGET_LCP.labels(beacon.surface.value, store.id).observe(beacon.lcp_ms)


@app.get("/api/stores/{store_id}/sales")
def show_sales(store_id: str, request: Request) -> dict[str, int]:
    store = storage.find_store(store_id)
    _serve_for(store, request)
    return {"sold": widgets.sales_of(store)}


@app.get("/stores/{store_id}/events")
async def stream_events(store_id: str, request: Request) -> StreamingResponse:
    """Stream what happens in a store as server-sent events, until the client leaves."""
    store = await run_in_threadpool(storage.find_store, store_id)
    _serve_for(store, request)
    return StreamingResponse(events.server_sent(store), media_type="text/event-stream")


@app.get("/shoppers/{email}")
def show_shopper(email: str) -> dict[str, int | list[str]]:
    buyer = webhooks.listener_id(email)
    orders = storage.count_orders(buyer)
    if not orders:
        raise HTTPException(404, "this shopper has not bought anything yet")
    return {"orders": orders, "recommended": storage.recommendations_for(buyer)}


def _serve_for(store: Store, request: Request, *, adds_job: bool = False) -> None:
    """Tell log lines and metrics whose request it is; refuse it if the store sends too many."""
    exchange = current_exchange()
    if exchange is not None:
        exchange.set_tenant(store.id)
        bind(requestId=exchange.request_id, storeId=store.id, orgId=store.org_id)
    request.state.store_id = store.id
    if reason := tenants.why_not(store, adds_job=adds_job):
        raise HTTPException(429, f"too many requests of this store: {reason}", {"Retry-After": "1"})


async def _body_of(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"a body may have {MOST_BYTES} bytes")
    return body


def _parsed(model: type[Parsed], body: bytes) -> Parsed:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(
            422, error.errors(include_url=False, include_context=False, include_input=False)
        ) from error
