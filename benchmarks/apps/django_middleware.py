"""Two Django middlewares as people write them: one that does nothing, one that writes a JSON access line."""

from __future__ import annotations

import logging
import time
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware

_logger = logging.getLogger("access")


@sync_and_async_middleware
def no_op(get_response: Any) -> Any:
    """Do nothing: the least that any observer of responses costs."""
    if not iscoroutinefunction(get_response):

        def sync_middleware(request: Any) -> Any:
            return get_response(request)

        return sync_middleware

    async def middleware(request: Any) -> Any:
        return await get_response(request)

    return middleware


@sync_and_async_middleware
def access_line(get_response: Any) -> Any:
    """Log one line for each request."""
    if not iscoroutinefunction(get_response):

        def sync_middleware(request: Any) -> Any:
            started = time.perf_counter()
            response = get_response(request)
            _write(request, response, time.perf_counter() - started)
            return response

        return sync_middleware

    async def middleware(request: Any) -> Any:
        started = time.perf_counter()
        response = await get_response(request)
        _write(request, response, time.perf_counter() - started)
        return response

    return middleware


def _write(request: Any, response: Any, seconds: float) -> None:
    fields = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "duration_ms": round(seconds * 1000, 3),
        "client": request.META.get("REMOTE_ADDR", ""),
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
    }
    _logger.info("%s %s %s", request.method, request.path, response.status_code, extra=fields)
