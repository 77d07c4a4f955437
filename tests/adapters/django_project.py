"""A Django project of a few views. A process has one Django: the probe app's settings are overridden."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import include, path, re_path

from obs_django import get_observer

MIDDLEWARE = "obs_django.middleware.ObservabilityMiddleware"

closed: list[str] = []  # streams whose generator has run its `finally`
threads: list[int] = []  # of views
seen: list[Any] = []  # exchanges, as `request.obs_exchange`


def item(request: HttpRequest, i: int = 0, **_: Any) -> HttpResponse:
    seen.append(request.obs_exchange)
    return HttpResponse(f"item {i}", content_type="text/plain")


async def async_item(request: HttpRequest) -> HttpResponse:
    threads.append(threading.get_ident())
    return HttpResponse("item", content_type="text/plain")


def boom(request: HttpRequest) -> HttpResponse:
    raise LookupError("nothing there")


def film(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"), content_type="text/plain")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        try:
            for _ in range(100):
                yield b"piece"
        finally:
            closed.append("sync")

    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
                await asyncio.sleep(0)
        finally:
            closed.append("async")

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)), content_type="text/plain")


def plain_headers(get_response: Any) -> Any:
    """Be a middleware that keeps a response's headers in a dictionary of its own."""

    def answer(request: HttpRequest) -> Any:
        response = get_response(request)
        response.headers = dict(response.headers)
        return response

    return answer


inner = [
    path("lines/<int:line>/", item),
    re_path(r"^codes/(?P<code>[^/]+)/$", item),
]
urlpatterns = [
    path("items/<int:i>", item),
    re_path(r"^old/(?P<i>[0-9]+)\Z", item),
    re_path(r"^api/(?P<version>v[^/]*)/", include(inner)),
    path("orders/<slug:order>/", include((inner, "orders"), namespace="first")),
    path("async-item", async_item),
    path("boom", boom),
    path("film", film),
    path("stream", stream),
    path("async-stream", async_stream),
    path("upload", upload),
    path("", item),
]


@contextlib.contextmanager
def project(**settings: Any) -> Iterator[None]:
    """Be in a process with these settings; the Observer is made anew."""
    ours = {
        "ROOT_URLCONF": __name__,
        "MIDDLEWARE": [MIDDLEWARE],
        "ALLOWED_HOSTS": ["shop.test"],
        "OBS_LOG_SETUP": False,
        "DEBUG_PROPAGATE_EXCEPTIONS": False,
    }
    start()
    with override_settings(**{**ours, **settings}):
        get_observer.cache_clear()
        try:
            yield
        finally:
            get_observer.cache_clear()


def start() -> None:
    """Set Django up, unless another test has done it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.django_app.settings")
    if not apps.ready:
        django.setup()


def wsgi_app() -> Any:
    return WSGIHandler()


def asgi_app() -> Any:
    return ASGIHandler()
