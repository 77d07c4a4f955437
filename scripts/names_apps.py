"""What two small apps show, for scripts/names_page.py: they do what makes each metric, field and attribute appear."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

urlpatterns: list[Any] = []  # of the Django app


class Seen:
    """What two apps have shown."""

    def __init__(self) -> None:
        self.families: dict[str, dict[str, Any]] = {}
        self.lines: list[dict[str, Any]] = []
        self.attributes: set[str] = set()
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # of frameworks about each other
            self._look(Path(folder))

    def _look(self, folder: Path) -> None:
        for run in (_starlette, _django):
            run(folder, self)

    def add(self, observer: Any, seen: Any) -> None:
        """Look while what runs the app is still there: the gauges of a loop end with it."""
        self.lines += seen.lines
        for span in seen.spans:
            if span.kind.name == "SERVER":
                self.attributes |= set(span.attributes)
        self.families |= observer.metrics.snapshot()


class _Exported:
    """An exporter that keeps what it gets: what a batch job has is there alone."""

    name, interval_seconds = "seen", 3600.0

    def __init__(self, families: dict[str, dict[str, Any]]) -> None:
        self._families = families

    def export(self, collected: Any) -> None:
        self._families |= collected.snapshot()


def _starlette(folder: Path, found: Seen) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    from obs_asgi import ObservabilityMiddleware
    from obs_middleware import Observer
    from obs_middleware.export import Textfile
    from obs_middleware.testing import captured

    def item(request: Any) -> Any:
        logging.getLogger("shop").warning("looked at")
        return PlainTextResponse("item")

    def boom(request: Any) -> Any:
        raise ValueError("boom")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    observer = Observer(
        service_name="shop", service_version="1", log_setup=False, metrics_token="metrics-token",
        tenant_header="X-Tenant", metrics_workers="off",
    )  # fmt: skip
    routes = [Route("/items/{id}", item), Route("/boom", boom), WebSocketRoute("/socket", socket)]
    app = Starlette(routes=routes)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    observer.health.add("stock", lambda: True)
    observer.exporters.add(_Exported(found.families))
    with captured(observer) as seen, TestClient(app, raise_server_exceptions=False) as client:
        sent = {"X-Tenant": "acme", "X-Correlation-ID": "order-7"}
        for path in ("/items/7?page=2", "/boom", "/metrics", "/health/ready"):
            client.get(path, headers=sent)
        client.request("BREW", "/items/7", headers=sent)
        with client.websocket_connect("/socket") as websocket:
            websocket.send_text("hello")
            websocket.receive_text()
        observer.events.record("order_placed")
        _fail(observer)
        with suppress(Exception), observer.exporters.job("nightly"):
            raise ValueError("no report")
        with observer.exporters.job("weekly"):
            pass
        observer.exporters.add(Textfile(folder / "none" / "shop.prom"))
        observer.exporters.push()  # fails: there is no such folder; a job would try again and again
        logging.getLogger("shop").error("failed", exc_info=ValueError("boom"))
        found.add(observer, seen)


def _fail(observer: Any) -> None:
    """Do what is counted as a loss or as a failure of ours."""
    from obs_middleware.losses import lose

    lose("spans")
    orders = observer.metrics.counter("orders", "Orders.", ["plan"], max_series=1)
    for plan in ("free", "paid"):
        orders.labels(plan).inc()
    observer.metrics.on_collect(lambda: 1 / 0)
    observer.metrics.snapshot()


def _django(folder: Path, found: Seen) -> None:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django.contrib.contenttypes", "obs_django"],
        ROOT_URLCONF=__name__, LOGGING_CONFIG=None, OBS_LOG_SETUP=False, OBS_METRICS_WORKERS="off",
        OBS_SERVICE_NAME="shop", OBS_TENANT_HEADER="X-Tenant",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "shop.sqlite3")}},
    )  # fmt: skip
    django.setup()
    from django.core.cache import cache
    from django.db import connection
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path

    from obs_django import get_observer
    from obs_middleware.testing import captured

    def item(request: Any) -> Any:
        connection.cursor().execute("SELECT 1")
        cache.get("item")
        return HttpResponse("item")

    urlpatterns.append(path("items/", item))
    observer = get_observer()
    with captured(observer) as seen:
        Client().get("/items/", headers={"X-Tenant": "acme"})
        deadline = time.monotonic() + 30
        while "django_migrations_pending" not in found.families and time.monotonic() < deadline:
            found.add(observer, seen)  # a thread counts them
            time.sleep(0.05)


def _kept(observer: Any, seen: Any) -> Any:
    """Look while what runs the app is still there, as gauges of a loop are gone with it."""
    observer.metrics.snapshot()
    return seen
