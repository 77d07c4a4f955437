"""The probe app on Django under ASGI, with async views."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIHandler

from obs_middleware import Observer
from tests.apps import probe
from tests.apps.django_app.start import bare, started


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app as INSTALLED_APPS makes it."""
    with started("async", observer, options):
        return ASGIHandler()


def make_bare_app(options: probe.Options = probe.Options()) -> Any:
    """Return the probe app alone."""
    with bare("async", options):
        return ASGIHandler()
