"""Writes obs_middleware/cli/lint/families.json: every metric that the library and its adapters show, as they show it.

`make families` calls it. It serves requests with all names and all parts on, reads the pages, and keeps names, types
and labels. So the command `lint` knows what the code declares, and no list is kept by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

from obs_middleware import Settings

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "obs_middleware/cli/lint/families.json"
Families = dict[str, dict[str, Any]]


def families() -> Families:
    """Return what all front ends show, each in a process of its own, because registries and Django's settings stay."""
    found: Families = {}
    for part in ("http", "django opentelemetry", "django django-prometheus"):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OBS_", "OTEL_"))}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), env.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, __file__, *part.split()],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        _merge(found, json.loads(done.stdout))
    return dict(sorted(found.items()))


def text() -> str:
    """Return the file, a family a line."""
    lines = (f"  {json.dumps(name)}: {json.dumps(family)}" for name, family in families().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _merge(found: Families, more: Families) -> None:
    """Add families; those that two sets of names have get the labels of both."""
    for name, family in more.items():
        before = found.setdefault(name, family)
        before["labels"] = sorted({*before["labels"], *family["labels"]})


class Keeper:
    """An exporter that keeps what it gets: the metrics of a job are in no registry."""

    name, interval_seconds = "keeper", 60.0

    def __init__(self) -> None:
        self.found: list[Any] = []

    def export(self, collected: Any) -> None:
        """Keep it."""
        self.found += collected.families


def _shown(registry: Any) -> Families:
    from obs_middleware.metrics.snapshot import Snapshot

    return _families(Snapshot.of(registry))


def _families(families: Iterable[Any]) -> Families:
    found: Families = {}
    for family in families:
        labels = {name for sample in family.samples for name in sample.labels} - {"le", "quantile"}
        if family.samples:
            found[family.name] = {"type": family.type, "labels": sorted(labels)}
    return found


def _http() -> Families:
    """Serve an app once with each set of names."""
    sets, *_ = get_args(get_type_hints(Settings)["metric_names"])
    found: Families = {}
    for names in get_args(sets):
        _merge(found, _served(names))
    return found


def _served(names: str) -> Families:
    """Serve requests of each kind by an app, and whatever else has metrics."""
    import prometheus_client
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    from obs_asgi import ObservabilityMiddleware
    from obs_middleware import Observer

    registry = (
        prometheus_client.REGISTRY if names == "opentelemetry" else prometheus_client.CollectorRegistry()
    )
    observer = Observer(
        registry=registry,
        service_name="shop",
        service_version="1",
        environment="production",
        metric_names=names,
        metrics_token="families-token",
        log_setup="false",
    )

    async def asked(request: Any) -> Any:
        await asyncio.to_thread(int)
        return PlainTextResponse("hello")

    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    def broken(request: Any) -> Any:
        raise LookupError

    routes = [
        Route("/hello", asked),
        Route("/sync", lambda request: PlainTextResponse("sync")),
        Route("/broken", broken),
        WebSocketRoute("/chat", chat),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(ObservabilityMiddleware, observer=observer)  # type: ignore[arg-type]
    observer.health.add("database", lambda: True)
    observer.events.record("restocked")
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/hello", "/sync", "/broken", "/nowhere", "/health/ready", "/metrics"):
            client.get(path)
        with client.websocket_connect("/chat") as websocket:
            websocket.send_text("hello")
            websocket.receive_text()
        _count_own(observer)
        keeper = Keeper()
        observer.exporters.add(keeper)
        for fails in (False, True):
            with contextlib.suppress(LookupError), observer.exporters.job("nightly"):
                if fails:
                    raise LookupError
        return _families(keeper.found) | _shown(registry)


def _count_own(observer: Any) -> None:
    """Have each of our own counters show its label."""
    from obs_middleware.losses import lose

    instruments = observer.gateway._metrics.instruments
    for counter in (instruments.refused, instruments.internal_errors, instruments.overflow):
        counter.inc("seen")
    lose("spans")
    observer.metrics.count_export_failure("seen")


def _django(names: str) -> Families:
    """Serve requests by a Django app that asks its database and its cache."""
    import django
    from django.conf import settings
    from django.core.cache import cache
    from django.db import DatabaseError, connection
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path
    from prometheus_client import REGISTRY

    def asked(request: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            with contextlib.suppress(DatabaseError):
                cursor.execute("SELECT nothing")
        cache.set("one", 1)
        cache.get("one")
        cache.get("two")
        return HttpResponse("hello")

    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("hello", asked)]
    settings.configure(
        INSTALLED_APPS=["obs_django", "django.contrib.contenttypes"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        ROOT_URLCONF=urls,
        ALLOWED_HOSTS=["testserver"],
        OBS_METRIC_NAMES=names,
        OBS_LOG_SETUP="false",
    )
    django.setup()
    client = Client()
    client.get("/hello")
    deadline = time.monotonic() + 20
    while b"migrations" not in (page := client.get("/metrics").content) and time.monotonic() < deadline:
        time.sleep(0.05)  # a gauge that takes long to read is on the page after the next one
    assert b"migrations" in page
    return _shown(REGISTRY)


if __name__ == "__main__":
    _, *asked_for = sys.argv
    if not asked_for:
        TARGET.write_text(text(), encoding="utf-8")
    else:
        part, *names = asked_for
        sys.stdout.write(json.dumps(_http() if part == "http" else _django(*names)))
