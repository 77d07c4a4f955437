"""An app with a page of 40 000 samples: `/close` makes the next scrape wait for `/open`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, Settings

ROUTES, METHODS, STATUSES = range(200), ("GET", "PUT", "POST"), ("200", "201", "404", "500")


class Gate:
    """A collector that can be made to wait, as one that asks a database."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("gate_opened", "Whether it was in time.", value=self.open.wait(60))


async def answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["path"] == "/close":
        gate.open.clear()
    if scope["path"] == "/open":
        gate.open.set()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


registry, gate = CollectorRegistry(), Gate()
histogram = Histogram("shop_seconds", "Time taken.", ("route", "method", "status"), registry=registry)
for route in ROUTES:
    for method in METHODS:
        for status in STATUSES:
            histogram.labels(f"/items{route}/{{item}}", method, status).observe(0.3)
registry.register(gate)
app = ObservabilityMiddleware(answer, Observer(Settings(service_name="shop"), registry=registry))
