"""A service that is well until POST /sick: the variable SERVICE says which of the four it stands for.

Sick, it fails in as many ways as there are alerts to see.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer

SERVICE = os.environ["SERVICE"]
IS_TOKPULSE, IS_ZEROSTATE = SERVICE == "tokpulse", SERVICE == "zerostate"

observer = Observer(
    service_name=SERVICE,
    environment="development",
    metrics_prefix="zerostate" if IS_ZEROSTATE else None,
    metrics_path="/internal/metrics" if IS_TOKPULSE else "/metrics",
    metrics_token="a-secret-token" if IS_TOKPULSE else None,
)
numbers = itertools.count()
state = {"sick": False}


class Warehouse:
    """An exporter of the app's own."""

    name = "warehouse"
    interval_seconds = 1.0

    def export(self, collected: Any) -> None:
        if state["sick"]:
            raise ConnectionError("the warehouse refused")


async def work(request: Request) -> Response:
    sick = state["sick"]
    if IS_ZEROSTATE:
        _trade(sick)
    if IS_TOKPULSE:
        orders.labels(str(next(numbers)) if sick else "1").inc()
    if sick and next(numbers) % 2:
        raise ValueError("sick")
    return PlainTextResponse("done")


async def slow(request: Request) -> Response:
    await asyncio.sleep(1.2 if state["sick"] else 0)
    return PlainTextResponse("done")


async def fall_sick(request: Request) -> Response:
    state["sick"] = True
    return PlainTextResponse("sick")


app = Starlette(
    routes=[Route("/work", work), Route("/slow", slow), Route("/sick", fall_sick, methods=["POST"])],
    middleware=[Middleware(ObservabilityMiddleware, observer=observer)],
)

if IS_TOKPULSE:
    orders = observer.metrics.counter("orders", "Orders.", ["order"], max_series=5)

if SERVICE == "audotics":
    observer.exporters.add(Warehouse())

    @observer.health.check("disk", critical=False, every_seconds=0.5)
    def disk() -> bool:
        return not state["sick"]

    @observer.metrics.on_collect
    def ask_the_database() -> None:
        if state["sick"]:
            raise ConnectionError("the database refused")


if IS_ZEROSTATE:
    PEERS = observer.metrics.gauge("p2p_peers", "Peers.", ["state"])
    MESSAGES = observer.metrics.counter("p2p_messages", "Messages.", ["type", "status"])
    TASKS = observer.metrics.counter("tasks", "Tasks.", ["status"])
    PAYMENTS = observer.metrics.counter("payments", "Payments.", ["status"])
    REPUTATION = observer.metrics.gauge("reputation_score", "Reputation.")

    @observer.health.check("storage", every_seconds=0.5)
    def storage() -> bool:
        return not state["sick"]


def _trade(sick: bool) -> None:
    PEERS.labels("connected").set(1 if sick else 4)
    PEERS.labels("failed").set(3 if sick else 0)
    MESSAGES.labels("gossip", "error" if sick else "success").inc()
    TASKS.labels("failed" if sick else "completed").inc()
    PAYMENTS.labels("failed" if sick else "success").inc()
    REPUTATION.set(0.8)


if SERVICE == "utilityfog":
    LATENCY = observer.metrics.histogram("coordination_message_latency_seconds", "Latency.")

    @observer.metrics.on_collect
    def coordinate() -> None:
        LATENCY.observe(0.01)
