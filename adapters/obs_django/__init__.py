"""obs-middleware for Django, sync and async: `INSTALLED_APPS = ["obs_django", ...]`, and nothing else.

`get_observer()` is the process's Observer; register checks on it in an `AppConfig.ready()`.
"""

from obs_django.observer import get_observer

__all__ = ["get_observer"]
