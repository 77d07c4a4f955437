"""Start Django once in a process, and give each app that is made its own observer and options."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from unittest.mock import patch

import django
from django.conf import settings
from django.test import override_settings
from django.urls import clear_url_caches

from obs_middleware import Observer
from tests.apps import probe

OURS = "obs_django.middleware.ObservabilityMiddleware"


def name_settings() -> None:
    """Say where the settings are, as `manage.py` does."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.django_app.settings")


@contextlib.contextmanager
def started(views: str, observer: Observer | None, options: probe.Options) -> Iterator[None]:
    """Let the handler that is made in the block have these views, this observer and these options."""
    _set_up(views, options)
    if observer is None:
        yield
    else:
        with patch("obs_django.middleware.get_observer", lambda: observer):
            yield


@contextlib.contextmanager
def bare(views: str, options: probe.Options) -> Iterator[None]:
    """Let the handler that is made in the block do without our middleware."""
    _set_up(views, options)
    with override_settings(MIDDLEWARE=[name for name in settings.MIDDLEWARE if name != OURS]):
        yield


def _set_up(views: str, options: probe.Options) -> None:
    name_settings()
    django.setup()
    settings.ROOT_URLCONF = f"tests.apps.django_app.urls_{views}"
    settings.PROBE_CATCH_ALL = options.catch_all
    clear_url_caches()
