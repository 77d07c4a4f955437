"""Storefront widgets: pages that the shops frame in theirs. Each tells how long its largest part took to appear."""

import time
from html import escape
from pathlib import Path
from string import Template
from typing import Literal

from opentelemetry import trace
from pydantic import BaseModel, Field

from example_apps.tokpulse import storage, telemetry
from example_apps.tokpulse.experiments import WIDGET_LAYOUT, Render

Surface = Literal["home", "product", "cart"]
PAGE = Template(Path(__file__).with_name("widget.html").read_text(encoding="utf-8"))
PRICE_EUR, RATES = 9.5, {"EUR": 1.0, "NZD": 1.9, "USD": 1.1}

tracer = trace.get_tracer(__name__)


class PaintBeacon(BaseModel):
    """What the page sends once it is painted."""

    surface: Surface
    store_id: str
    lcp_ms: float = Field(gt=0, le=600_000)


def show(surface: str, store: storage.Store, *, visitor_id: str, currency: str) -> str:
    """Render a widget in the variant of the visitor.

    Raises:
        KeyError: the shop's currency has no rate.
    """
    variant = WIDGET_LAYOUT.shown(visitor_id)
    telemetry.EXPOSURE.labels(WIDGET_LAYOUT.name, variant, surface, store.id).inc()
    started, has_failed = time.perf_counter(), True
    try:
        page = _rendered(surface, store, variant, currency)
        has_failed = False
    except Exception as error:
        telemetry.WIDGET_ERRORS.labels(surface, store.id, type(error).__name__).inc()
        raise
    finally:
        render = Render((time.perf_counter() - started) * 1000, has_failed)
        for metric, threshold in WIDGET_LAYOUT.breaches(variant, render).items():
            telemetry.GUARDRAIL_BREACH.labels(WIDGET_LAYOUT.name, metric, f"{threshold:g}").inc()
    telemetry.WIDGET_RENDER.labels(surface, store.id).observe(render.ms)
    return page


def _rendered(surface: str, store: storage.Store, variant: str, currency: str) -> str:
    attributes = {"surface": surface, "store.id": store.id, "experiment.variant": variant}
    with tracer.start_as_current_span("widget.render", attributes=attributes):
        price = f"{PRICE_EUR * RATES[currency]:.2f} {currency}"
        texts = {"surface": surface, "store_id": store.id, "store": store.name, "variant": variant}
        texts |= {"price": price, "sold": str(count_sales(store))}
        return PAGE.substitute({name: escape(text) for name, text in texts.items()})


def count_sales(store: storage.Store) -> int:
    with tracer.start_as_current_span("api.sales", attributes={"store.id": store.id}):
        return storage.count("orders", "store_id = ?", store.id)
