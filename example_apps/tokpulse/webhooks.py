"""What a webhook says and how it is processed: once, however often it is delivered."""

import hashlib
import math

from opentelemetry import trace
from pydantic import BaseModel

from example_apps.tokpulse import storage, telemetry
from example_apps.tokpulse.storage import Store

tracer = trace.get_tracer(__name__)


class Order(BaseModel):
    order_id: str
    store_id: str
    lines: list[float]
    total: float
    customer: dict[str, str]  # whatever the shop sends of its buyer: e-mail, card, …
    note: str = ""


class Receipt(BaseModel):
    status: str
    recommended_songs: list[str]


def process(topic: str, order: Order, store: Store) -> bool:
    """Check and keep an order; False if it was delivered before.

    ValueError if its lines do not add up to its total.
    """
    with (
        tracer.start_as_current_span("webhook.process", attributes={"topic": topic, "store.id": store.id}),
        telemetry.webhook_processing(topic, store),
    ):
        _check_total(order)
        listener_id = listener_of(order)
        is_new = storage.add_delivery(topic, order.order_id, store_id=store.id, listener_id=listener_id)
    telemetry.webhook_processed(topic, store, is_new=is_new)
    return is_new


def _check_total(order: Order) -> None:
    total = sum(order.lines)
    if not math.isclose(total, order.total):
        buyer = order.customer.get("email", "somebody")
        raise ValueError(
            f"order {order.order_id} of {buyer}: its lines make {total:.2f}, not {order.total:.2f}"
        )


def listener_of(order: Order) -> str:
    return listener_id(order.customer.get("email", order.order_id))


def listener_id(email: str) -> str:
    """Name a buyer without telling who it is: other services never see the address."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:12]
