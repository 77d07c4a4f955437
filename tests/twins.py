"""The compiled functions and the Python functions behind them, so that both can be asked the same."""

from __future__ import annotations

from typing import Any

import pytest

from obs_asgi import middleware, request, response, routes
from obs_asgi.compiled import asgi
from obs_django import middleware as django
from obs_django.compiled import django as django_native
from obs_middleware import cgi, exchange, ledger, native, observer, request_id
from obs_middleware.logs import access
from obs_middleware.metrics import http
from obs_middleware.tracing import direct, server
from obs_wsgi import body as wsgi_body
from obs_wsgi import middleware as wsgi
from obs_wsgi import response as wsgi_response
from obs_wsgi.compiled import wsgi as wsgi_native

_unless_compiled = pytest.mark.skipif(
    not all(module.is_in_use for module in (native.core, asgi, wsgi_native, django_native)),
    reason="the request path is not compiled here, so that it can't be compared with Python's",
)


def needs_compiled(test: Any) -> Any:
    """Mark a test that compares both ways, which `make test-python` leaves out."""
    return pytest.mark.compiled(_unless_compiled(test))


# Where each is looked up.
TWINS: tuple[tuple[Any, str], ...] = (
    (request_id, "draw"),
    (exchange.Exchange, "__enter__"),
    (exchange.Exchange, "__exit__"),
    (exchange.Exchange, "leave"),
    (exchange.Exchange, "finish"),
    (exchange.Exchange, "entry"),
    (observer.Observer, "start"),
    (observer.Observer, "_enter"),
    (server.ServerSpans, "_record"),
    (server.ServerSpans, "end"),
    (direct.DirectTracer, "start"),
    (direct.DirectTracer, "end"),
    (ledger.Ledger, "add"),
    (http.HttpMetrics, "record"),
    (access.AccessLog, "_piece"),
    (cgi, "request_info"),
    (wsgi, "request_info"),
    (django, "request_info"),
    (request, "request_info"),
    (middleware, "request_info"),
    (response.Response, "__init__"),
    (response.Response, "send"),
    (response.Response, "end"),
    (routes.Routes, "template"),
    (middleware.ObservabilityMiddleware, "_open"),
    (wsgi_response.Response, "start"),
    (wsgi_body, "read"),
    (wsgi, "read"),
    (wsgi.ObservabilityMiddleware, "_open"),
    (django.ObservabilityMiddleware, "_start"),
    (django.ObservabilityMiddleware, "_finish"),
)


def take_python(patch: pytest.MonkeyPatch) -> None:
    """Let requests take the Python functions alone."""
    for owner, name in TWINS:
        patch.setattr(owner, name, vars(owner)[name].__wrapped__)
