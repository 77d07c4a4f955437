"""The Django middleware, sync and async: first in the list, so that probes pass before host checks and redirects."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from obs_django.observer import get_observer
from obs_django.stream import watch
from obs_middleware import Exchange, Observer, Reply, RequestInfo, current_exchange
from obs_middleware.cgi import request_info

GetResponse = Callable[[HttpRequest], Any]

_anchor = re.compile(r"(?<![\[\\])\^|(?<!\\)\$|\\Z")
_EXCHANGE = "obs.exchange"
_REPLY_THREADS = 4  # of our own, so that an app that fills the default ones still answers its probes


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
        self._knows_loop = False
        self._threads = ThreadPoolExecutor(_REPLY_THREADS, thread_name_prefix="obs-reply")
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
        if not self._knows_loop:
            self._meet_loop()
        outer = _exchange_outside(request)
        if outer is not None:
            return _routed(outer, request, await self.get_response(request))
        info = _request_info(request)
        if request.path_info in self.observer.paths:
            reply = sync_to_async(self.observer.reply, thread_sensitive=False, executor=self._threads)
            return _response(await reply(info, request.path_info))
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
            request.exchange = exchange  # pyright: ignore[reportAttributeAccessIssue]
            exchange.request_bytes = _content_length(info)
        return exchange

    def _meet_loop(self) -> None:
        import asyncio

        self.observer.started(loop=asyncio.get_running_loop())
        self._knows_loop = True


def note_exception(sender: object, request: HttpRequest | None = None, **_: Any) -> None:
    """Keep the exception that Django is about to answer with a 500 (signal `got_request_exception`)."""
    exchange, error = current_exchange(), sys.exc_info()[1]
    if exchange is not None and error is not None:
        exchange.note_error(error)


def _exchange_outside(request: HttpRequest) -> Exchange | None:
    """Return the exchange that another instance, or obs_wsgi or obs_asgi around Django, has begun."""
    here = getattr(request, "exchange", None) or request.META.get(_EXCHANGE)
    here = here or getattr(request, "scope", {}).get(_EXCHANGE)
    if here is not None:
        request.exchange = here  # pyright: ignore[reportAttributeAccessIssue]
    return here


def _routed(exchange: Exchange, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    exchange.route = exchange.route or _route_of(request)
    return response


def _request_info(request: HttpRequest) -> RequestInfo:
    scope = getattr(
        request, "scope", {}
    )  # of ASGI: META has the method in upper case, and no protocol version
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
    exchange.route = exchange.route or _route_of(request)
    exchange.finish(is_complete=False)


def _finish(exchange: Exchange, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Add the headers, and end the exchange now or, of a stream, when its response is closed."""
    try:
        exchange.status = response.status_code
        exchange.route = exchange.route or _route_of(request)
        for name, value in exchange.added_headers((name.lower(), value) for name, value in response.items()):
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
    route = _anchor.sub("", match.route)
    return f"{request.META.get('SCRIPT_NAME', '').rstrip('/')}/{route}"


def _response(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    del response.headers["Content-Type"]
    for name, value in reply.headers.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(len(reply.body))
    return response
