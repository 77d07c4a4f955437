"""The names of other exporters are those that the exporters themselves show: each serves one request in a process.

They are compared with their own packages, because dashboards are made for what these show. It takes seconds.
"""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.core.metrics.scraping import page
from tests.core.support import observer, python, request, serve

pytestmark = pytest.mark.once

FASTAPI = """
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_fastapi_instrumentator import Instrumentator
app = FastAPI()
app.post("/a/{i}", status_code=201)(lambda i: "seen")
Instrumentator(should_instrument_requests_inprogress=True).instrument(app).expose(app)
with TestClient(app) as client:
    client.post("/a/1", content=b"x" * 10)
    print(client.get("/metrics").text)
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette_exporter import PrometheusMiddleware, handle_metrics
app = Starlette(routes=[
    Route("/a/{i}", lambda request: PlainTextResponse("seen", 201), methods=["POST"]), Route("/metrics", handle_metrics)
])
app.add_middleware(PrometheusMiddleware)
client = TestClient(app)
client.post("/a/1", content=b"x" * 10)
print(client.get("/metrics").text)
"""
FLASK = """
import logging
from flask import Flask
from prometheus_flask_exporter import PrometheusMetrics
app = Flask("shop")
app.logger.disabled = True
PrometheusMetrics(app, path="/metrics")
app.post("/a/<i>")(lambda i: ("seen", 201))
@app.post("/boom/<i>")
def boom(i):
    raise KeyError
client = app.test_client()
client.post("/a/1", data=b"x" * 10)
client.post("/boom/1", data=b"x" * 10)
print(client.get("/metrics").text)
"""
DJANGO = """
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django_prometheus"],
    PROMETHEUS_EXPORT_MIGRATIONS=False, LOGGING_CONFIG=None,
    MIDDLEWARE=["django_prometheus.middleware.PrometheusBeforeMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware"],
)
import django
django.setup()
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
def boom(request, i):
    raise KeyError
urlpatterns = [path("a/<i>", lambda request, i: HttpResponse("seen", status=201), name="a"),
               path("boom/<i>", boom, name="boom"), path("", include("django_prometheus.urls"))]
client = Client(raise_request_exception=False)
client.post("/a/1", b"x" * 10, content_type="text/plain")
import sys, io
sys.stderr = io.StringIO()
client.post("/boom/1", b"x" * 10, content_type="text/plain")
sys.stderr = sys.__stderr__
print(client.get("/metrics").content.decode())
"""
# What we do not know of a request once it has ended, or nobody else asks for; docs/http-metrics.md names them.
LEFT_OUT = {
    "django-prometheus": {
        "django_http_ajax_requests",
        "django_http_requests_total_by_transport",
        "django_http_requests_unknown_latency",
        "django_http_requests_unknown_latency_including_middlewares",
        "django_http_responses_streaming",
        "django_http_responses_total_by_charset",
    },
    "prometheus_flask_exporter": {"flask_exporter_info"},
}
# Labels that are left out, because nobody's dashboard selects by them alone.
LABELS_LEFT_OUT = {"django_http_requests_total_by_view_transport_method_total": {"transport"}}
PREFIXES = ("http_", "starlette_", "flask_", "django_http_")


def _names(text: str) -> dict[str, set[tuple[str, ...]]]:
    """Return the samples' names with the names of their labels."""
    names: dict[str, set[tuple[str, ...]]] = {}
    for family in parse_text(text):
        for sample in family.samples:
            if sample.name.startswith(PREFIXES) and not sample.name.endswith("_created"):
                names.setdefault(sample.name, set()).add(tuple(sorted(sample.labels)))
    return names


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("prometheus-fastapi-instrumentator", FASTAPI),
        ("starlette-exporter", STARLETTE),
        ("prometheus_flask_exporter", FLASK),
        ("django-prometheus", DJANGO),
    ],
)
def test_names_labels_and_buckets_are_those_of_the_exporter_itself(names: str, code: str) -> None:
    own = observer(access_log=False, metric_names=names)
    serve(own, request("POST"), route="/a/{i}", status=201, request_bytes=10)
    serve(own, request("POST"), route="/boom/{i}", status=500, error=KeyError())
    theirs, ours = python(code), page(own)
    their_names, our_names = _names(theirs), _names(ours)
    missing = {name.removesuffix("_total") for name in their_names.keys() - our_names.keys()}
    assert missing == LEFT_OUT.get(names, set())
    assert our_names.keys() <= their_names.keys()
    for name, labels in our_names.items():
        left_out = LABELS_LEFT_OUT.get(name, set())
        assert labels == {tuple(label for label in one if label not in left_out) for one in their_names[name]}
    assert _bounds(ours) == {key: bounds for key, bounds in _bounds(theirs).items() if key in _bounds(ours)}


def _bounds(text: str) -> dict[str, set[str]]:
    bounds: dict[str, set[str]] = {}
    for family in parse_text(text):
        for sample in family.samples:
            if sample.name.endswith("_bucket") and sample.name.startswith(PREFIXES):
                bounds.setdefault(sample.name, set()).add(sample.labels["le"])
    return bounds
