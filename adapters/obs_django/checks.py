"""System checks: `manage.py check` and every start of a server name a bad setting."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from obs_django.observer import get_observer
from obs_middleware import ConfigError

MIDDLEWARE = "obs_django.middleware.ObservabilityMiddleware"
_NOT_FIRST = "obs-middleware is not first in MIDDLEWARE: what %s answers or changes is not observed."


def check_settings(**_: Any) -> list[CheckMessage]:
    """Return an error for settings that no Observer can be made of."""
    try:
        get_observer()
    except ConfigError as error:
        return [Error(str(error), hint="See the table in obs-middleware's docs/settings.md.", id="obs.E001")]
    return []


def check_place(**_: Any) -> list[CheckMessage]:
    """Return a warning for a middleware of ours that the project lists behind others."""
    listed = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in listed[1:] or listed[0] == MIDDLEWARE:
        return []
    hint = "Leave it out of MIDDLEWARE: 'obs_django' in INSTALLED_APPS puts it first."
    return [CheckWarning(_NOT_FIRST % listed[0], hint=hint, id="obs.W001")]
