"""The probe app on Django under WSGI, with sync views."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler

from obs_middleware import Observer
from tests.apps import probe
from tests.apps.django_app.start import bare, started


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app as INSTALLED_APPS makes it."""
    with started("sync", observer, options):
        return WSGIHandler()


def make_bare_app(options: probe.Options = probe.Options()) -> Any:
    """Return the probe app alone."""
    with bare("sync", options):
        return WSGIHandler()
