"""The async views of the probe app."""

from __future__ import annotations

import asyncio
import json

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from obs_middleware import add_labels, leave_out
from tests.apps import probe, starlette_app
from tests.apps.django_app import views_sync
from tests.apps.django_app.views_sync import text

# One sync view under ASGI, which Django runs in a thread, and one that reads a body.
user = views_sync.user
echo = views_sync.echo


async def item(request: HttpRequest, i: int) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    return text(f"item {i}")


async def thing(request: HttpRequest, x: str) -> HttpResponse:
    return text(f"thing {x}")


async def slashed(request: HttpRequest, i: int) -> HttpResponse:
    return text(f"slashed {i}")


async def boom(request: HttpRequest) -> HttpResponse:
    raise ValueError("boom")


async def handled(request: HttpRequest) -> HttpResponse:
    raise probe.HandledError(500)


async def teapot(request: HttpRequest) -> HttpResponse:
    raise probe.HandledError(418)


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(starlette_app.chunks())


async def stream_long(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(starlette_app.long_chunks())


async def stream_broken(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(starlette_app.broken_chunks())


async def slow(request: HttpRequest) -> HttpResponse:
    await probe.be_slow()
    return text("slow")


async def log(request: HttpRequest) -> HttpResponse:
    probe.write_log()
    return text("logged")


async def whoami(request: HttpRequest) -> HttpResponse:
    seen = {"view": probe.request_id(), "thread": probe.request_id_in_thread()}
    await asyncio.sleep(float(request.GET.get("ms", "0")) / 1000)
    seen["sync_to_async"] = await sync_to_async(probe.request_id)()
    seen["to_thread"] = await asyncio.to_thread(probe.request_id)
    seen["later"] = probe.request_id()
    return text(json.dumps(seen))


async def outgoing(request: HttpRequest) -> HttpResponse:
    return views_sync.outgoing(request)


async def query(request: HttpRequest) -> HttpResponse:
    return views_sync.query(request)


async def own_id(request: HttpRequest) -> HttpResponse:
    return views_sync.own_id(request)


@leave_out
async def left_out(request: HttpRequest) -> HttpResponse:
    return text("seen")


@add_labels(team="checkout")
async def labelled(request: HttpRequest) -> HttpResponse:
    return text("seen")


async def session(request: HttpRequest) -> HttpResponse:
    return views_sync.session(request)
