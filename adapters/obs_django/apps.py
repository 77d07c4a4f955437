"""The Django app: puts its middleware first, sets the Observer up, and checks the settings."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register
from django.core.signals import got_request_exception

from obs_django.checks import MIDDLEWARE, check_place, check_settings
from obs_django.middleware import note_exception


class ObservabilityConfig(AppConfig):
    """`INSTALLED_APPS = ["obs_django", ...]`."""

    name = "obs_django"
    verbose_name = "Observability"

    def ready(self) -> None:
        """Get everything in place before the first request is served."""
        register(check_settings)
        register(check_place)
        got_request_exception.connect(note_exception, dispatch_uid="obs_django")
        if MIDDLEWARE not in settings.MIDDLEWARE:
            settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
