"""Ready-made checks of what Django has: databases, caches, migrations, storage.

The databases are registered without any line, by `observer.py`. The others are one line each in an `AppConfig.ready()`:
`get_observer().health.add("cache", django_cache())`. Each runs in a thread that the check keeps, with connections of
its own; Django closes them after a run, or keeps them as long as `CONN_MAX_AGE` says.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.db import connections

from obs_middleware.gateway import DATASTORE, ReadyCheck, cut_after, graded

_NAME = "obs-health"
# Time limits of the drivers, in whole seconds, where the project has set none. Oracle's has none.
_LIMITS = {
    "postgresql": ("connect_timeout",),
    "mysql": ("connect_timeout", "read_timeout", "write_timeout"),
}


def django_database(alias: str = "default") -> ReadyCheck:
    """Check a database by `SELECT 1`."""
    return _Database(alias)


def django_cache(alias: str = "default") -> ReadyCheck:
    """Check a cache: it must give back what it was given.

    Its own time limit holds, because Django hands none on: set `socket_timeout` in the `OPTIONS` of Redis.
    """
    return _Cache(alias)


def django_migrations() -> ReadyCheck:
    """Check that no database lacks a migration; it reads the graph of all apps, so once a minute is often enough."""
    return _Migrations()


def django_storage(alias: str = "default", *, writes: bool = False) -> ReadyCheck:
    """Check a storage: it must answer whether it has a file, and a folder must be there and writable.

    Args:
        alias: in `STORAGES`.
        writes: save a small file, read it and delete it.
    """
    return _Storage(alias, writes)


class _Database(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __call__(self) -> None:
        connection, began = connections[self._alias], time.monotonic()
        was_open = connection.connection is not None
        try:
            self._ask(connection)
        except Exception:
            connection.close()
            if not was_open or time.monotonic() - began > self.timeout_seconds / 2:
                raise
            self._ask(connection)  # it was cut while it waited

    def _ask(self, connection: Any) -> None:
        if connection.connection is None:
            self._limit(connection)
            connection.ensure_connection()
            connection.execute_wrappers.clear()  # these queries are ours, and not the app's
        with cut_after(self.timeout_seconds, connection.connection), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")

    def _limit(self, connection: Any) -> None:
        """Hand the time limit to the driver, for the connection of this thread alone."""
        own = connection.settings_dict
        options = own.get("OPTIONS") or {}
        if "pool" not in options:  # which the app's threads share
            limits = dict.fromkeys(_LIMITS.get(connection.vendor, ()), max(1, round(self.timeout_seconds)))
            connection.settings_dict = {**own, "OPTIONS": {**limits, **options}}


class _Cache(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __call__(self) -> None:
        cache = caches[self._alias]
        if isinstance(cache, DummyCache):  # which keeps nothing
            return
        kind = type(cache)  # whose methods are not counted as the app's look-ups
        kind.set(cache, _NAME, True, 60)
        if kind.get(cache, _NAME) is None:  # some backends hide errors
            raise ConnectionError("the cache has not kept what it was given")

    def close(self) -> None:
        """Close the connections of this thread."""
        caches[self._alias].close()


class _Migrations(ReadyCheck):
    component_type = DATASTORE

    def __call__(self) -> Any:
        from obs_django.migrations import pending

        lacking = {alias: int(count) for alias, count in pending().items() if count}
        output = ", ".join(f"{count} pending in {alias}" for alias, count in lacking.items())
        return graded(sum(lacking.values()), "migrations", output, warns=False, fails=bool(lacking))


class _Storage(ReadyCheck):
    component_type = DATASTORE

    def __init__(self, alias: str, writes: bool) -> None:
        self._alias, self._writes = alias, writes

    def __call__(self) -> None:
        storage = storages[self._alias]
        if self._writes:
            _write(storage)
            return
        storage.exists(_NAME)
        if isinstance(storage, FileSystemStorage) and not os.access(str(storage.location), os.W_OK | os.X_OK):
            raise PermissionError("the folder of the storage is missing, or can't be written to")


def _write(storage: Any) -> None:
    name = storage.save(_NAME, ContentFile(b"obs-health"))
    try:
        with storage.open(name) as file:
            file.read()
    finally:
        with suppress(Exception):
            storage.delete(name)
