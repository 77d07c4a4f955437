"""What a webhook says, and the jobs that it makes: once, however often it is delivered.

`outgoing_headers()` takes the trace and the IDs along to audotics.
"""

import hashlib
import math
import os
from typing import Literal

import httpx
from opentelemetry import trace
from pydantic import BaseModel

from example_apps.tokpulse import queue, storage, telemetry
from obs_middleware import outgoing_headers

Topic = Literal["orders-paid", "orders-cancelled"]
AUDOTICS_URL = os.environ.get("AUDOTICS_URL", "")  # empty: nobody to ask, tokpulse runs alone
DELIVER = """INSERT INTO deliveries (store_id, topic, order_id) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"""

tracer = trace.get_tracer(__name__)
audotics = httpx.Client(base_url=AUDOTICS_URL, timeout=5.0)


class Order(BaseModel):
    order_id: str
    store_id: str
    lines: list[float]
    total: float
    customer: dict[str, str]  # whatever the shop sends of its buyer: e-mail, card, …
    note: str = ""


def enqueue(topic: str, order: Order, store: storage.Store) -> bool:
    """Keep an order for the workers; False if it was delivered before."""
    with storage.transaction("INSERT jobs") as connection:
        (times,) = connection.execute(DELIVER, [store.id, topic, order.order_id]).fetchone()
        if times == 1:
            queue.put(connection, queue.PROCESS, topic=topic, store=store, payload=order.model_dump_json())
    return bool(times == 1)


def process(job: queue.Job) -> None:
    """Check and keep an order, and have songs recommended to its buyer.

    Raises:
        ValueError: its lines do not add up to its total.
    """
    order = Order.model_validate_json(job.payload)
    with (
        telemetry.metrics.timed(telemetry.WEBHOOK_DURATION.labels(job.topic, job.store_id)),
        tracer.start_as_current_span("api.add_order", attributes={"store.id": job.store_id}),
    ):
        _check_total(order)
        buyer = listener_id(order.customer.get("email", order.order_id))
        with storage.transaction("INSERT orders") as connection:
            row = [job.store_id, job.topic, order.order_id, buyer]
            connection.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", row)  # a job may run twice
            queue.put(connection, queue.RECOMMEND, topic=job.topic, store=job.store, payload=buyer)
            queue.finish(connection, job)


def recommend(job: queue.Job) -> None:
    """Ask audotics what a buyer may like next, and keep it.

    Raises:
        HTTPError: audotics cannot say; the job comes again.
    """
    songs = []
    if AUDOTICS_URL:
        answer = audotics.get(f"/recommendations/{job.payload}", headers=outgoing_headers())
        songs = answer.raise_for_status().json()["songs"]
    titles = "\n".join(song["title"] for song in songs)
    with storage.transaction("INSERT recommendations") as connection:
        connection.execute("INSERT OR REPLACE INTO recommendations VALUES (?, ?)", [job.payload, titles])
        queue.finish(connection, job)


def _check_total(order: Order) -> None:
    total, buyer = sum(order.lines), order.customer.get("email", "somebody")
    if not math.isclose(total, order.total):
        raise ValueError(
            f"order {order.order_id} of {buyer}: its lines make {total:.2f}, not {order.total:.2f}"
        )


def listener_id(email: str) -> str:
    """Name a buyer without telling who it is: other services never see the address."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:12]
