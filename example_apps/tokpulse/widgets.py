"""Storefront widgets: small pieces of HTML that the shops put on their pages."""

from enum import Enum
from html import escape

from opentelemetry import trace

from example_apps.tokpulse import storage, telemetry
from example_apps.tokpulse.storage import Store

tracer = trace.get_tracer(__name__)


class Surface(str, Enum):
    HOME = "home"
    PRODUCT = "product"
    CART = "cart"


def render(surface: str, store: Store) -> str:
    with (
        tracer.start_as_current_span("widget.render", attributes={"surface": surface, "store.id": store.id}),
        telemetry.widget_rendering(surface, store),
    ):
        sold = storage.count_deliveries(store.id)
        return f"<aside class='tokpulse-{surface}'>{escape(store.name)}: {sold} records sold</aside>"
