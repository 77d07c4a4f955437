"""The web side of tokpulse.

The one line is `app.add_middleware(ObservabilityMiddleware)`: it alone gives request IDs, traces, metrics, logs
and probes. The extras are an Observer with checks and metrics of our own (telemetry.py), spans, and `bind()`. It binds
fields that are on every log line of the request.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from example_apps.tokpulse import events, recommendations, storage, telemetry, webhooks, widgets
from example_apps.tokpulse.api_metrics import ApiMetrics
from example_apps.tokpulse.storage import Store
from example_apps.tokpulse.webhooks import Order, Receipt
from obs_asgi import ObservabilityMiddleware
from obs_middleware import bind

logger = logging.getLogger(__name__)


class Topic(str, Enum):
    ORDERS_PAID = "orders-paid"
    ORDERS_CANCELLED = "orders-cancelled"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    storage.create()
    yield
    await recommendations.audotics.aclose()


app = FastAPI(title="tokpulse", lifespan=lifespan)
app.add_middleware(ApiMetrics)
app.add_middleware(ObservabilityMiddleware, observer=telemetry.observer)  # added last: around everything


@app.post("/webhooks/{topic}", status_code=202)
async def receive_webhook(topic: Topic, order: Order, request: Request) -> Receipt:
    store = await run_in_threadpool(storage.find_store, order.store_id)
    _serve_for(store, request)
    logger.info("webhook received", extra={"topic": topic.value, "order": order.model_dump()})
    is_new = await run_in_threadpool(webhooks.process, topic.value, order, store)
    songs = await recommendations.recommend(webhooks.listener_of(order)) if is_new else []
    return Receipt(status="processed" if is_new else "duplicate", recommended_songs=songs)


@app.get("/widgets/{surface}", response_class=HTMLResponse)
def show_widget(surface: widgets.Surface, store_id: str, request: Request) -> str:
    store = storage.find_store(store_id)
    _serve_for(store, request)
    logger.info("widget asked for: %s", request.url)  # a URL may hold secrets: redaction takes them out
    return widgets.render(surface.value, store)


@app.get("/stores/{store_id}/events")
async def stream_events(store_id: str, request: Request) -> StreamingResponse:
    """Stream what happens in a store as server-sent events, until the client leaves."""
    store = await run_in_threadpool(storage.find_store, store_id)
    _serve_for(store, request)
    return StreamingResponse(events.server_sent(store), media_type="text/event-stream")


@app.get("/shoppers/{email}")
def show_shopper(email: str) -> dict[str, int]:
    orders = storage.count_orders(webhooks.listener_id(email))
    if not orders:
        raise HTTPException(404, "this shopper has not bought anything yet")
    return {"orders": orders}


def _serve_for(store: Store, request: Request) -> None:
    """Tell log lines and metrics whose request it is."""
    bind(store_id=store.id, org_id=store.org_id)
    request.state.store_id = store.id
