"""The Django middleware, sync and async: first in the list, so that probes pass before host checks and redirects."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.log import log_response

from obs_django.app_pages import look_at_first_request
from obs_django.besides import look_besides
from obs_django.headers import MARK, add_headers, close_connection, sent_headers, unshared
from obs_django.inside import Inside, exchange_outside
from obs_django.observer import get_observer
from obs_django.routes import route_of
from obs_django.stream import watch
from obs_middleware import Exchange, Observer, Reply, RequestInfo, current_exchange
from obs_middleware.gateway import (
    CARRIER_KEY,
    CURRENT,
    callers_of,
    named_request_info,
    request_info,
    status_number,
    variables_of,
)

GetResponse = Callable[[HttpRequest], Any]

_DIGITS = 15  # of a length, at most
_UNHEARD = logging.Logger("obs.unheard", logging.CRITICAL)  # noqa: LOG001 - no project's logging config reaches it


class ObservabilityMiddleware:
    """Observe a Django project.

    Raises:
        ConfigError: a setting is not as it must be.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_context_headers",
        "_gateway",
        "_is_async",
        "_is_behind_proxy",
        "_lifecycle",
        "_names",
        "_request_info",
        "get_response",
        "observer",
    )
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse, observer: Observer | None = None) -> None:
        self.get_response = get_response
        self.observer = observer or get_observer()
        self._gateway = gateway = self.observer.gateway
        self._lifecycle = self.observer.lifecycle
        gateway.set_up(debug=settings.DEBUG)
        gateway.started(is_serving=False)
        look_at_first_request(gateway)
        look_besides(gateway)
        first, second = gateway.response_header_names
        self._names = first.lower(), second.lower()
        self._context_headers = variables_of(gateway.context_headers)
        self._request_info = named_request_info if gateway.needs_header_names else request_info
        self._is_behind_proxy = settings.SECURE_PROXY_SSL_HEADER is not None
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._serve_async(request)
        exchange = self._start(request)
        if exchange is None:
            outer = exchange_outside(request, self._info)
            if outer is not None:
                with Inside(request, outer):
                    return self.get_response(request)
            if self._gateway.has_page(request.path_info):
                return self._answer(request, self._gateway.reply(self._info(request), request.path_info))
            return self.get_response(request)
        with exchange:
            try:
                response: HttpResponseBase = self.get_response(request)
            except BaseException as error:
                _fail(exchange, request, error)
                raise
        return self._finish(exchange, request, response)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        exchange = self._start(request)
        if exchange is None:
            outer = exchange_outside(request, self._info)
            if outer is not None:
                with Inside(request, outer):
                    return await self.get_response(request)
            if self._gateway.has_page(request.path_info):
                return self._answer(request, await self._reply_async(self._info(request), request.path_info))
            return await self.get_response(request)
        with exchange:
            try:
                response: HttpResponseBase = await self.get_response(request)
            except BaseException as error:
                _fail(exchange, request, error)
                raise
        return self._finish(exchange, request, response)

    def _start(self, request: HttpRequest) -> Exchange | None:
        """Begin an exchange; None where the request has one already, is a probe, or we fail."""
        own = request.__dict__
        has_outside = (
            "obs_exchange" in own
            or CARRIER_KEY in request.META
            or CURRENT.get() is not None
            or ("scope" in own and CARRIER_KEY in own["scope"])
        )
        if has_outside and exchange_outside(request, self._info) is not None:
            return None
        gateway, path = self._gateway, request.path_info
        if path in gateway.paths or (
            gateway.path_prefix
            and path[gateway.prefix_of_path] == gateway.path_prefix
            and gateway.has_page(path)
        ):
            return None
        try:
            info = self._info(request)
        except Exception as error:
            self._gateway.report("start", error)
            return None
        exchange = self._gateway.start(info)
        if exchange is not None:
            request.obs_exchange = exchange  # pyright: ignore[reportAttributeAccessIssue]
            size = request.META.get("CONTENT_LENGTH")  # declared: Django has taken the stream before we run
            if size:
                if size.__class__ is not str:
                    size = str(size)
                if size.isdecimal() and not size[_DIGITS:]:
                    exchange.request_bytes = int(size)
        return exchange

    def _info(self, request: HttpRequest) -> RequestInfo:
        # `request.scheme` goes through the settings to say what only a proxy's header can make differ.
        scheme = request.scheme if self._is_behind_proxy else None
        scope = request.__dict__.get("scope")
        if scope is None:
            return self._request_info(request.META, self._context_headers, None, request.path, scheme)
        path, prefix = request.path, request.script_name  # pyright: ignore[reportAttributeAccessIssue]
        if prefix and not path.startswith(prefix):
            path = f"{prefix.rstrip('/')}{path}"  # a proxy has stripped it, and FORCE_SCRIPT_NAME adds it
        get = scope.get  # META has the method in upper case and no protocol version
        return self._request_info(
            request.META,
            self._context_headers,
            scope["method"],
            path,
            scheme or get("scheme"),
            get("http_version"),
        )

    def _finish(
        self, exchange: Exchange, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the headers, and end the exchange now or, of a stream, when its response is closed."""
        try:
            status: Any = response.status_code
            exchange.status = status if status.__class__ is int else status_number(status)
            if exchange.route is None:
                exchange.route = route_of(request)
            if MARK in response.__dict__:
                response = unshared(response)
            add_headers(response, exchange, self._names)
            if self._lifecycle.is_draining:
                close_connection(request, response)
            if self._gateway.captures_response:
                exchange.capture_response_headers(sent_headers(response))
            if isinstance(response, HttpResponse):
                exchange.response_bytes = len(response.content)
            elif isinstance(response, StreamingHttpResponse):
                exchange.declare(response.headers.get("Content-Length"))
                watch(response, exchange, is_sent_by_kernel="wsgi.file_wrapper" in request.META)
                return response
            exchange.first_byte()
        except Exception as error:
            exchange.report("response", error)
        exchange.finish()
        return response

    def _answer(self, request: HttpRequest, reply: Reply) -> HttpResponse:
        response = _response(reply)
        if self._lifecycle.is_draining:
            close_connection(request, response)
        return response

    async def _reply_async(self, info: RequestInfo, path: str) -> Reply:
        loop, threads = asyncio.get_running_loop(), self._gateway.threads(path)
        self._gateway.started(loop=loop)  # a check runs in the loop of the probe that asks for it
        if threads is None:
            return self._gateway.reply(info, path)
        return await loop.run_in_executor(threads, self._gateway.reply, info, path)


def note_exception(sender: object, request: HttpRequest | None = None, **_: Any) -> None:
    """Keep the exception that Django is about to answer with a 500 (signal `got_request_exception`)."""
    exchange, error = current_exchange(), sys.exc_info()[1]
    if exchange is not None and error is not None:
        exchange.note_error(error)


def _fail(exchange: Exchange, request: HttpRequest, error: BaseException) -> None:
    """End an exchange that gets no response: Django's own page of an error has failed too, or it is a cancellation."""
    exchange.note_raised(error)
    if isinstance(error, Exception):
        exchange.status = 500  # every server's answer
    elif not exchange.is_cancelled:
        exchange.status = callers_of(None).exit_status
    else:
        exchange.is_client_gone = isinstance(error, asyncio.CancelledError)  # Django cancels for nothing else
    exchange.route = exchange.route or route_of(request)
    exchange.finish(is_complete=False)


def _response(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    del response.headers["Content-Type"]
    for name, value in reply.headers.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(len(reply.body))
    if reply.status >= 400:  # as if it were logged, or Django logs each probe that is not ready as an error
        log_response("", response=response, level="debug", logger=_UNHEARD)
    return response
