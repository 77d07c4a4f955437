"""The web side of tokpulse.

The one line is `app.add_middleware(ObservabilityMiddleware)`: it alone gives request IDs, traces, metrics, logs
and probes. The extras are an Observer with checks and metrics of our own (telemetry.py), spans, and `bind()`. It binds
fields that are on every log line of the request.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from example_apps.tokpulse import signatures, storage, telemetry, tenants, webhooks, widgets
from example_apps.tokpulse.api_metrics import ApiMetrics
from example_apps.tokpulse.experiments import WIDGET_LAYOUT
from example_apps.tokpulse.webhooks import Order, Topic
from example_apps.tokpulse.widgets import PaintBeacon, Surface
from obs_asgi import ObservabilityMiddleware
from obs_middleware import bind, current_exchange

MOST_BYTES = 2**20  # of a webhook; nobody has signed it yet
EVENT_SECONDS = 0.1  # between two
VISITOR = "tokpulse_visitor"  # the cookie

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    storage.create()
    yield


app = FastAPI(title="tokpulse", lifespan=lifespan)
app.add_middleware(ApiMetrics)
app.add_middleware(ObservabilityMiddleware, observer=telemetry.observer)  # added last: around everything


@app.exception_handler(ValidationError)
async def refuse(request: Request, error: ValidationError) -> JSONResponse:
    """Say what is wrong with a body that we have parsed ourselves, and not what it holds."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return JSONResponse({"detail": wrong}, status_code=422)


@app.post("/webhooks/{topic}", status_code=202)
async def receive_webhook(topic: Topic, request: Request) -> dict[str, str]:
    """Keep a webhook for the workers, if its signature says that a shop has sent it."""
    body = await _body(request)
    if not signatures.is_signed(topic, body, request.headers.get(signatures.HEADER, "")):
        telemetry.WEBHOOKS.labels(topic, storage.UNKNOWN_STORE.id, "rejected").inc()
        logger.warning("webhook refused: its signature is not one of ours")
        raise HTTPException(401, f"{signatures.HEADER} must be sha256=HMAC of topic, NUL and body")
    order = Order.model_validate_json(body)
    return {"status": await run_in_threadpool(_take_order, topic, order, request)}


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"a webhook has {MOST_BYTES} bytes at most")
    return body


def _take_order(topic: str, order: Order, request: Request) -> str:
    store = _serve_for(order.store_id, request, adds_job=True)
    logger.info("webhook received", extra={"topic": topic, "order": order.model_dump()})
    if webhooks.enqueue(topic, order, store):
        return "queued"
    telemetry.webhook_ended(topic, store, "duplicate")
    return "duplicate"


@app.get("/widgets/{surface}", response_class=HTMLResponse)
def show_widget(
    surface: Surface, store_id: str, request: Request, response: Response, currency: str = "EUR"
) -> str:
    store = _serve_for(store_id, request)
    logger.info("widget asked for: %s", request.url)  # a URL may hold secrets: redaction takes them out
    visitor_id = request.cookies.get(VISITOR) or uuid4().hex
    if VISITOR not in request.cookies:
        response.set_cookie(VISITOR, visitor_id, httponly=True, samesite="lax")
        telemetry.ASSIGNMENT.labels(WIDGET_LAYOUT.name, WIDGET_LAYOUT.assigned(visitor_id), store.id).inc()
    page = widgets.show(surface, store, visitor_id=visitor_id, currency=currency)
    telemetry.tenant_event(store, "widget")
    return page


@app.post("/beacons/lcp", status_code=204)
async def take_paint_beacon(request: Request) -> None:
    """Take what a page tells of its paint; `sendBeacon` sends it as plain text."""
    beacon = PaintBeacon.model_validate_json(await request.body())
    store = await run_in_threadpool(_serve_for, beacon.store_id, request)
    telemetry.WIDGET_LCP.labels(beacon.surface, store.id).observe(beacon.lcp_ms)


@app.get("/stores/{store_id}/events")
async def stream_events(store_id: str, request: Request) -> StreamingResponse:
    """Stream what a store sells as server-sent events, until the client leaves."""
    store = await run_in_threadpool(_serve_for, store_id, request)
    return StreamingResponse(_events_of(store), media_type="text/event-stream")


async def _events_of(store: storage.Store) -> AsyncIterator[str]:
    while True:
        yield f"event: sales\ndata: {await run_in_threadpool(widgets.count_sales, store)}\n\n"
        await asyncio.sleep(EVENT_SECONDS)


@app.get("/shoppers/{email}")
def show_shopper(email: str) -> dict[str, object]:
    buyer = webhooks.listener_id(email)
    orders = storage.count("orders", "listener_id = ?", buyer)
    if not orders:
        raise HTTPException(404, "this shopper has not bought anything yet")
    found = storage.rows("recommendations", "SELECT titles FROM recommendations WHERE listener_id = ?", buyer)
    return {"orders": orders, "recommended": found[0][0].splitlines() if found else []}


def _serve_for(store_id: str, request: Request, *, adds_job: bool = False) -> storage.Store:
    """Tell log lines and metrics whose request it is; refuse it if the store sends too many."""
    store, exchange = storage.find_store(store_id), current_exchange()
    request.state.store_id = store.id
    if exchange is not None:
        exchange.set_tenant(store.id)
        bind(requestId=exchange.request_id, storeId=store.id, orgId=store.org_id)
    if reason := tenants.why_not(store, adds_job=adds_job):
        telemetry.TENANT_THROTTLING.labels(store.id, store.org_id, reason).inc()
        raise HTTPException(429, f"too many requests of this store: {reason}", {"Retry-After": "1"})
    return store
