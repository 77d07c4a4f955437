"""System checks: `manage.py check` and every start of a server name a bad setting."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from obs_django.observer import get_observer
from obs_middleware import ConfigError


def check_settings(**_: Any) -> list[CheckMessage]:
    """Return an error for settings that no Observer can be made of."""
    try:
        get_observer()
    except ConfigError as error:
        return [Error(str(error), hint="See the table in obs-middleware's docs/settings.md.", id="obs.E001")]
    return []
