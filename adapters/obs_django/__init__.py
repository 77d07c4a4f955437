"""obs-middleware for Django, sync and async: `INSTALLED_APPS = ["obs_django", ...]`, and nothing else.

`get_observer()` is the process's Observer; register checks on it in an `AppConfig.ready()`. `metrics`, `events` and
`exporters` are those of this Observer: `from obs_django import metrics` works wherever the settings can be read.
"""

from typing import TYPE_CHECKING, Any

from obs_django.observer import get_observer

if TYPE_CHECKING:
    metrics = get_observer().metrics
    events = get_observer().events
    exporters = get_observer().exporters

__all__ = ["events", "exporters", "get_observer", "metrics"]


def __getattr__(name: str) -> Any:
    """Make the Observer when it is asked for, because Django's settings import this package."""
    if name in ("events", "exporters", "metrics"):
        return getattr(get_observer(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
