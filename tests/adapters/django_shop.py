"""A Django project with two databases and two caches, in a process of its own: `python -m tests.adapters.django_shop`.

It serves the requests that its first argument names, with the settings in its second (JSON), and prints what is seen.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

_FOLDER = tempfile.mkdtemp()


def _database(name: str) -> dict[str, str]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{_FOLDER}/{name}.sqlite3"}


def _run(statement: str, alias: str = "default", many: Any = None) -> None:
    from django.db import connections

    with connections[alias].cursor() as cursor:
        if many is None:
            cursor.execute(statement)
        else:
            cursor.executemany(statement, many)


def two(request: HttpRequest) -> HttpResponse:
    _run("SELECT 1")
    _run("/* a hint */ select 2")
    return HttpResponse("two")


def none(request: HttpRequest) -> HttpResponse:
    return HttpResponse("none")


def both(request: HttpRequest) -> HttpResponse:
    _run("CREATE TABLE IF NOT EXISTS items (name TEXT)", "other")
    _run("INSERT INTO items VALUES (%s)", "other", many=[("a",), ("b",)])
    return HttpResponse("both")


def broken(request: HttpRequest) -> HttpResponse:
    try:
        _run("SELECT nothing FROM nowhere")
    except django.db.OperationalError:
        return HttpResponse("broken", status=409)
    raise AssertionError


def many(request: HttpRequest) -> HttpResponse:
    for number in range(30):
        _run(f"SELECT 'jane@example.org', {number % 2}")
    return HttpResponse("many")


def blocked(request: HttpRequest) -> HttpResponse:
    """Connect inside a wrapper of the app's own, which Django takes off by its place."""
    from django.db import connection

    connection.close()
    calls: list[str] = []

    def own(execute: Any, sql: str, *rest: Any) -> Any:
        calls.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(own):
        _run("SELECT 5")
    _run("SELECT 6")
    return HttpResponse(",".join(calls))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[str]:
        _run("SELECT 1")
        yield "a"
        _run("SELECT 2")
        yield "b"

    return StreamingHttpResponse(pieces())


def cached(request: HttpRequest) -> HttpResponse:
    from django.core.cache import cache, caches

    seen = [cache.get("a"), cache.get("a", 7), cache.get("a", default=8, version=2)]
    cache.set("a", None)
    seen += [cache.get("a", 9)]
    cache.set_many({"b": 1, "c": 2})
    seen += [sorted(cache.get_many(key for key in "bcd").items())]
    seen += [caches["dummy"].get("a", 10), cache.get_or_set("e", 11), caches["dummy"].get_many(["x", "y"])]
    return HttpResponse(json.dumps(seen))


async def queries_in_async(request: HttpRequest) -> HttpResponse:
    from django.core.cache import cache

    await sync_to_async(_run)("SELECT 1")
    await asyncio.gather(*(sync_to_async(_run)("SELECT 2") for _ in range(2)))
    await cache.aget("a")
    return HttpResponse("async")


VIEWS = (two, none, both, broken, many, blocked, stream, cached, queries_in_async)
urlpatterns = [
    path(f"{view.__name__}/<int:i>", lambda request, i, view=view: view(request), name=f"see-{view.__name__}")
    for view in VIEWS
    if view is not queries_in_async
]


async def _async_view(request: HttpRequest, i: int) -> HttpResponse:
    return await queries_in_async(request)


urlpatterns += [path("queries_in_async/<int:i>", _async_view)]


def main(names: list[str], own: dict[str, Any]) -> dict[str, Any]:
    """Serve requests and return the bodies, the samples and the log lines."""
    settings.configure(
        SECRET_KEY="x" * 50,
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["obs_django", "django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={"default": _database("default"), "other": _database("other")},
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        },
        DEBUG_PROPAGATE_EXCEPTIONS=False,
        LOGGING_CONFIG=None,
        **own,
    )
    output, sys.stdout = sys.stdout, io.StringIO()
    django.setup()
    client, async_client = Client(raise_request_exception=False), AsyncClient()
    bodies = []
    for name in names:
        if name == "migrate":
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
        elif name.endswith("async"):
            response = asyncio.run(async_client.get(f"/{name}/1"))
            bodies.append(response.content.decode())
        else:
            bodies.append(client.get(f"/{name}/1").getvalue().decode())
    from obs_django import get_observer

    get_observer().close()
    page = client.get("/metrics").content.decode()
    lines = [json.loads(line) for line in sys.stdout.getvalue().splitlines()]
    sys.stdout = output
    logging.shutdown()
    samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {"bodies": bodies, "samples": samples, "lines": lines}


if __name__ == "__main__":
    done = main(sys.argv[1].split(","), json.loads(sys.argv[2]))
    print(json.dumps(done))
