"""The probe app's own handler of HandledError, and its page for what nobody has handled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views import defaults

from tests.apps import probe


class HandledErrors:
    """Turn a HandledError into its status, in sync and in async without a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, probe.HandledError):
            return HttpResponse("handled", status=error.status, content_type="text/plain")
        return None


def server_error(request: HttpRequest) -> HttpResponse:
    """Be Django's handler500: its own page, or the probe app's catch-all."""
    if settings.PROBE_CATCH_ALL:
        return HttpResponse("caught", status=probe.CATCH_ALL_STATUS, content_type="text/plain")
    return defaults.server_error(request)
