"""The web side of utilityfog.

The one line is `Middleware(ObservabilityMiddleware)`, in the list of middleware that Starlette takes.
The extras: a TelemetryCollector with hooks and exporters (telemetry.py), checks and an initialiser (health.py), nodes
that are asyncio tasks (tree.py), spans, `bind()`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from example_apps.utilityfog import (
    health,  # noqa: F401 - importing it registers the checks
    storage,
)
from example_apps.utilityfog.telemetry import collector, observer
from example_apps.utilityfog.tree import KINDS, NodeFailed, tree
from obs_asgi import ObservabilityMiddleware
from obs_middleware import bind

PULSE_SECONDS = 0.1

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    storage.create()
    async with tree.running():
        yield


async def show_node(request: Request) -> Response:
    node = await run_in_threadpool(storage.find_node, request.path_params["node_id"])
    if node is None:
        raise HTTPException(404, "no such node")
    task = tree.nodes[node["id"]]
    now = {"state": "failed"} if task.has_failed else {}
    return JSONResponse({**node, **now, "handled": task.handled})


async def set_state(request: Request) -> Response:
    """Let a node sleep or wake it up."""
    state = (await _content(request)).get("state")
    if state not in ("active", "asleep"):
        raise HTTPException(422, "state must be active or asleep")
    node_id = request.path_params["node_id"]
    if not await run_in_threadpool(storage.set_state, node_id, state):
        raise HTTPException(404, "no such node")
    collector.record_event(f"node_{state}", labels={"node": node_id})
    return Response(status_code=204)


async def fail_node(request: Request) -> Response:
    """Have a node fail; it is started again a moment later."""
    node = tree.nodes.get(request.path_params["node_id"])
    if node is None:
        raise HTTPException(404, "no such node")
    node.inbox.put_nowait(NodeFailed("told to fail by a request"))
    return Response(status_code=202)


async def send_message(request: Request) -> Response:
    message = await _content(request)
    kind, subject = message.get("kind"), str(message.get("subject", ""))
    if kind not in KINDS:
        raise HTTPException(422, f"kind must be one of {', '.join(KINDS)}")
    bind(subject=subject)
    reached = await tree.coordinate(kind, subject)
    logger.info("message spread", extra={"kind": kind, "delivered": len(reached)})
    return JSONResponse({"delivered": len(reached)}, status_code=202)


async def _content(request: Request) -> dict[str, Any]:
    try:
        content = await request.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise HTTPException(422, "wanted a JSON object")
    return content


async def stream_pulse(request: Request) -> Response:
    """Stream the heartbeat of a node as JSON lines, until the client leaves."""
    return StreamingResponse(_pulse(request.path_params["node_id"]), media_type="application/x-ndjson")


async def _pulse(node_id: int) -> AsyncIterator[str]:
    while True:
        messages = await run_in_threadpool(storage.count_messages, node_id)
        yield json.dumps({"node_id": node_id, "messages": messages}) + "\n"
        await asyncio.sleep(PULSE_SECONDS)


app = Starlette(
    routes=[
        Route("/nodes/{node_id:int}", show_node),
        Route("/nodes/{node_id:int}/state", set_state, methods=["PUT"]),
        Route("/nodes/{node_id:int}/failure", fail_node, methods=["POST"]),
        Route("/nodes/{node_id:int}/pulse", stream_pulse),
        Route("/messages", send_message, methods=["POST"]),
    ],
    middleware=[Middleware(ObservabilityMiddleware, observer=observer)],
    lifespan=lifespan,
)
