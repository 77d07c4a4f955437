"""The one Observer of a Django process, made of the settings that begin with `OBS_`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from obs_middleware import ConfigError, Observer

try:
    from django.conf import settings
    from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

    from obs_django.ready_made import django_database
except ImportError as missing:
    raise ImportError(
        f"obs_django needs Django ({missing}): pip install 'obs-middleware[django]'"
    ) from missing


@cache
def get_observer() -> Observer:
    """Return the Observer of this process, made at the first call.

    Raises:
        ConfigError: a setting is not as it must be.
    """
    observer = Observer.given_or_new(None, {}, config=own_settings())
    # A check is no request, at whose begin and end Django closes connections that are broken or too old.
    observer.gateway.surround_checks(close_old_connections, connections.close_all)
    observer.metrics.surround_hooks(closed_connections)
    check_databases(observer)
    return observer


def check_databases(observer: Observer) -> None:
    """Let readiness ask the databases; one that is not the default may fail without making the service unready.

    Raises:
        ConfigError: the setting names a database that there is not.
    """
    dummy = "django.db.backends.dummy"
    there = [one for one in connections if settings.DATABASES[one]["ENGINE"] != dummy]  # none is made by it
    wanted = observer.gateway.health_databases
    unknown = [] if wanted is None else [alias for alias in wanted if alias not in there]
    if unknown:
        raise ConfigError(
            f"OBS_DJANGO_HEALTH_DATABASES must have databases of DATABASES ({', '.join(there)}), "
            f"got {', '.join(unknown)}"
        )
    for alias in there if wanted is None else wanted:
        is_default = alias == DEFAULT_DB_ALIAS
        observer.health.add(f"database:{alias}", django_database(alias), critical=is_default)


def own_settings() -> dict[str, Any]:
    """Return Django's settings that begin with `OBS_`; no other is read."""
    return {name: getattr(settings, name) for name in dir(settings) if name.startswith("OBS_")}


@contextmanager
def closed_connections() -> Iterator[None]:
    """Close the connections that are opened meanwhile; one that a request or a transaction has opened stays."""
    before = {one.alias for one in connections.all(initialized_only=True) if one.connection is not None}
    try:
        yield
    finally:
        for one in connections.all(initialized_only=True):
            if one.alias not in before:
                one.close()
