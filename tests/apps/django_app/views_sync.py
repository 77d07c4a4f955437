"""The sync views of the probe app."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from obs_middleware import add_labels, leave_out, outgoing_headers
from tests.apps import probe, wsgi_raw


def text(body: str, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="text/plain")


@require_safe
def item(request: HttpRequest, i: int) -> HttpResponse:
    return text(f"item {i}")


def user(request: HttpRequest, uid: str) -> HttpResponse:
    return text(f"user {uid}")


def thing(request: HttpRequest, x: str) -> HttpResponse:
    return text(f"thing {x}")


def slashed(request: HttpRequest, i: int) -> HttpResponse:
    return text(f"slashed {i}")


def boom(request: HttpRequest) -> HttpResponse:
    raise ValueError("boom")


def handled(request: HttpRequest) -> HttpResponse:
    raise probe.HandledError(500)


def teapot(request: HttpRequest) -> HttpResponse:
    raise probe.HandledError(418)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(wsgi_raw.chunks())


def stream_long(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(wsgi_raw.long_chunks())


def stream_broken(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(wsgi_raw.broken_chunks())


def slow(request: HttpRequest) -> HttpResponse:
    probe.be_slow_sync()
    return text("slow")


def log(request: HttpRequest) -> HttpResponse:
    probe.write_log()
    return text("logged")


def whoami(request: HttpRequest) -> HttpResponse:
    return text(json.dumps(wsgi_raw.seen_ids(float(request.GET.get("ms", "0")))))


def outgoing(request: HttpRequest) -> HttpResponse:
    return text(json.dumps(outgoing_headers()))


def query(request: HttpRequest) -> HttpResponse:
    return text(request.META["QUERY_STRING"])


def own_id(request: HttpRequest) -> HttpResponse:
    response = text("own")
    response.headers["X-Request-ID"] = probe.OWN_ID
    response.headers["x-correlation-id"] = probe.OWN_ID
    return response


@leave_out
def left_out(request: HttpRequest) -> HttpResponse:
    return text("seen")


@add_labels(team="checkout")
def labelled(request: HttpRequest) -> HttpResponse:
    return text("seen")


def session(request: HttpRequest) -> HttpResponse:
    response = text("who?", 401)
    response.headers["WWW-Authenticate"] = "Basic"
    for name, _, value in (cookie.partition("=") for cookie in probe.COOKIES):
        response.set_cookie(name, value)
    return response


@csrf_exempt
@require_POST
def echo(request: HttpRequest) -> HttpResponse:
    return text(str(len(request.body)))
