"""Writes obs_middleware/cli/lint/families.json: every metric that the library and its adapters show, as they show it.

`make families` calls it. It serves requests with all names and all parts on, reads the pages, and keeps names, types
and labels. So the command `lint` knows what the code declares, and no list is kept by hand.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
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
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        for name, family in json.loads(done.stdout).items():
            known = found.setdefault(name, family)
            known["labels"] = sorted({*known["labels"], *family["labels"]})
    return dict(sorted(found.items()))


def text() -> str:
    """Return the file, a family a line."""
    lines = (f"  {json.dumps(name)}: {json.dumps(family)}" for name, family in families().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _shown(registry: Any) -> Families:
    from obs_middleware.metrics.snapshot import Snapshot

    found: Families = {}
    for family in Snapshot.of(registry):
        labels = {name for sample in family.samples for name in sample.labels} - {"le", "quantile"}
        if family.samples:
            found[family.name] = {"type": family.type, "labels": sorted(labels)}
    return found


def _http() -> Families:
    """Serve an app once with each set of names."""
    sets, *_ = get_args(get_type_hints(Settings)["metric_names"])
    found: Families = {}
    for names in get_args(sets):
        found = _served(names) | found
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
    from obs_middleware.export import Textfile

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
        found = _shown(registry)
        observer.exporters.add(Textfile("/nowhere/at/all.prom"))
        for fails in (False, True):
            try:
                with observer.exporters.job("nightly"):
                    if fails:
                        raise LookupError
            except LookupError:
                pass
        found |= _shown(registry)
    return found


def _count_own(observer: Any) -> None:
    """Have each of our own counters show its label."""
    from obs_middleware.losses import lose

    instruments = observer.gateway._metrics.instruments
    for counter in (instruments.refused, instruments.internal_errors, instruments.overflow):
        counter.inc("seen")
    lose("spans")


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
            try:
                cursor.execute("SELECT nothing")
            except DatabaseError:
                pass
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
