"""The Django middleware, sync and async: first in the list, so that probes pass before host checks and redirects."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from obs_django.observer import get_observer
from obs_django.stream import watch
from obs_middleware import Exchange, Observer, Reply, RequestInfo, current_exchange
from obs_middleware.cgi import request_info
from obs_middleware.exchange import CARRIED_AS

GetResponse = Callable[[HttpRequest], Any]

_NOTHING: dict[str, Any] = {}
_anchor = re.compile(r"(?<![\[\\])\^|(?<!\\)\$|\\Z")


class ObservabilityMiddleware:
    """Observe a Django project.

    Raises:
        ConfigError: a setting is not as it must be.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse, observer: Observer | None = None) -> None:
        self.get_response = get_response
        self.observer = observer or get_observer()
        self.observer.set_up(debug=settings.DEBUG)
        self.observer.started()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self._serve_async(request) if self._is_async else self._serve(request)

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        outer = _exchange_outside(request)
        if outer is not None:
            return _routed(outer, request, self.get_response(request))
        info = _request_info(request)
        if request.path_info in self.observer.paths:
            return _response(self.observer.reply(info, request.path_info))
        exchange = self._start(request, info)
        if exchange is None:
            return self.get_response(request)
        with exchange:
            try:
                response: HttpResponseBase = self.get_response(request)
            except BaseException as error:
                _fail(exchange, request, error)
                raise
        return _finish(exchange, request, response)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        outer = _exchange_outside(request)
        if outer is not None:
            return _routed(outer, request, await self.get_response(request))
        info = _request_info(request)
        if request.path_info in self.observer.paths:
            return _response(await self._reply_async(info, request.path_info))
        exchange = self._start(request, info)
        if exchange is None:
            return await self.get_response(request)
        with exchange:
            try:
                response: HttpResponseBase = await self.get_response(request)
            except BaseException as error:
                _fail(exchange, request, error)
                raise
        return _finish(exchange, request, response)

    def _start(self, request: HttpRequest, info: RequestInfo) -> Exchange | None:
        exchange = self.observer.start(info)
        if exchange is not None:
            request.obs_exchange = exchange  # pyright: ignore[reportAttributeAccessIssue]
            exchange.request_bytes = _content_length(info)
        return exchange

    async def _reply_async(self, info: RequestInfo, path: str) -> Reply:
        loop, threads = asyncio.get_running_loop(), self.observer.threads(path)
        self.observer.started(loop=loop)  # a check runs in the loop of the probe that asks for it
        if threads is None:
            return self.observer.reply(info, path)
        return await loop.run_in_executor(threads, self.observer.reply, info, path)


def note_exception(sender: object, request: HttpRequest | None = None, **_: Any) -> None:
    """Keep the exception that Django is about to answer with a 500 (signal `got_request_exception`)."""
    exchange, error = current_exchange(), sys.exc_info()[1]
    if exchange is not None and error is not None:
        exchange.note_error(error)


def _exchange_outside(request: HttpRequest) -> Exchange | None:
    """Return the exchange that another instance, or obs_wsgi or obs_asgi around Django, has begun."""
    own = vars(request)
    here = (
        own.get("obs_exchange") or request.META.get(CARRIED_AS) or own.get("scope", _NOTHING).get(CARRIED_AS)
    )
    if not isinstance(here, Exchange):
        return None
    request.obs_exchange = here  # pyright: ignore[reportAttributeAccessIssue]
    return here


def _routed(exchange: Exchange, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    exchange.route = exchange.route or _route_of(request)
    return response


def _request_info(request: HttpRequest) -> RequestInfo:
    # Of ASGI, where META has the method in upper case and no protocol version.
    scope = getattr(request, "scope", {})
    return request_info(
        request.META,
        method=scope.get("method"),
        path=request.path,
        scheme=request.scheme,
        http_version=scope.get("http_version"),
    )


def _content_length(info: RequestInfo) -> int:
    """Return the declared size: Django has taken the stream before the first middleware runs."""
    value = info.header("content-length") or ""
    return int(value) if value.isdecimal() and len(value) < 16 else 0


def _fail(exchange: Exchange, request: HttpRequest, error: BaseException) -> None:
    """End an exchange that gets no response: Django answers exceptions itself, so that this is a cancellation."""
    if isinstance(error, Exception):
        exchange.note_error(error)
    else:
        exchange.is_cancelled = True
        exchange.is_client_gone = isinstance(error, asyncio.CancelledError)  # Django cancels for nothing else
    exchange.route = exchange.route or _route_of(request)
    exchange.finish(is_complete=False)


def _finish(exchange: Exchange, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Add the headers, and end the exchange now or, of a stream, when its response is closed."""
    try:
        exchange.status = response.status_code
        exchange.route = exchange.route or _route_of(request)
        for name, value in exchange.added_headers({name.lower(): value for name, value in response.items()}):
            response.headers[name] = value
        if isinstance(response, StreamingHttpResponse):
            watch(response, exchange, is_sent_by_kernel="wsgi.file_wrapper" in request.META)
            return response
        if exchange.has_body and isinstance(response, HttpResponse):
            exchange.response_bytes = len(response.content)
        exchange.first_byte()
    except Exception as error:
        exchange.report("response", error)
    exchange.finish()
    return response


def _route_of(request: HttpRequest) -> str | None:
    """Return the pattern that was matched, mount point included; the anchors of regular expressions are left out."""
    match = request.resolver_match
    if match is None or match.route is None:
        return None
    return f"{request.META.get('SCRIPT_NAME', '').rstrip('/')}/{_without_anchors(match.route)}"


@cache  # as many as there are patterns
def _without_anchors(route: str) -> str:
    return _anchor.sub("", route)


def _response(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    del response.headers["Content-Type"]
    for name, value in reply.headers.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(len(reply.body))
    return response
