"""Look-ups in caches: hits, misses and errors by alias. No BACKEND is changed.

The backends' own `get` and `get_many` are wrapped where Django makes a backend for a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from obs_middleware.gateway import Gateway

_MISSING = object()
_MAKE = "obs_make"  # what makes a backend without us; None: the class does

Count = Callable[[str, type, int, int, int], None]  # alias, class of the backend, hits, misses, errors


def count_lookups(gateway: Gateway) -> None:
    """Count the look-ups in all caches, those that are there already too."""
    counts = [_own(gateway)]
    if gateway.has_names_of("django-prometheus"):
        counts.append(_django_prometheus(gateway))
    replaced = vars(caches).get(
        "create_connection"
    )  # by another library, or by a middleware that was made before
    make = getattr(replaced, _MAKE, replaced)

    def make_counted(alias: str) -> Any:
        cache = type(caches).create_connection(caches, alias) if make is None else make(alias)
        try:
            _wrap(cache, alias, counts, gateway)
        except Exception as error:
            gateway.report("caches", error)
        return cache

    setattr(make_counted, _MAKE, make)
    caches.create_connection = make_counted
    if caches.all(initialized_only=True):  # which do not say what they are called
        for alias in caches:
            _wrap(caches[alias], alias, counts, gateway)


def _wrap(cache: Any, alias: str, counts: list[Count], gateway: Gateway) -> None:
    lookups = _Lookups(cache, alias, counts, gateway)
    cache.get = lookups.get
    if lookups.has_get_many:
        cache.get_many = lookups.get_many


class _Lookups:
    """The look-ups in the cache of one thread, which holds this; so this does not hold the cache.

    Another library may have wrapped the same methods before us; then its own are called.
    """

    def __init__(self, cache: Any, alias: str, counts: list[Count], gateway: Gateway) -> None:
        self._kind: Any = type(cache)
        self._alias, self._counts, self._gateway = alias, counts, gateway
        self._is_inside = False  # a `get_many` that asks `get`
        is_basic = self._kind.get_many is BaseCache.get_many  # which asks `get` for each key
        self.has_get_many = not is_basic or "get_many" in vars(cache)
        self.inner_get = _inner(cache, "get")
        self.inner_get_many = _inner(cache, "get_many")

    def get(self, key: Any, default: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return what the backend returns; whether it has found anything, its default says."""
        if self._is_inside:
            return self.inner_get(key, default, *args, **kwargs)
        try:
            value = self.inner_get(key, _MISSING, *args, **kwargs)
        except Exception:
            self._count(errors=1)
            raise
        if value is _MISSING:
            self._count(misses=1)
            return default
        self._count(hits=1)
        return value

    def get_many(self, keys: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the backend returns."""
        wanted = [*keys]
        was_inside, self._is_inside = self._is_inside, True
        try:
            found = self.inner_get_many(wanted, *args, **kwargs)
        except Exception:
            self._count(errors=1)
            raise
        finally:
            self._is_inside = was_inside
        self._count(hits=len(found), misses=len(wanted) - len(found))
        return found

    def _count(self, *, hits: int = 0, misses: int = 0, errors: int = 0) -> None:
        try:
            for count in self._counts:
                count(self._alias, self._kind, hits, misses, errors)
        except Exception as error:
            self._gateway.report("caches", error)


def _inner(cache: Any, name: str) -> Callable[..., Any]:
    """Return a method of a cache as it is without us: the class's own, or what another library has put in its place."""
    replaced = vars(cache).get(name)
    if replaced is not None:
        ours = getattr(replaced, "__self__", None)
        inner: Callable[..., Any] = getattr(ours, f"inner_{name}") if isinstance(ours, _Lookups) else replaced
        return inner
    reference, method = ref(cache), getattr(type(cache), name)
    return lambda *args, **kwargs: method(reference(), *args, **kwargs)


def _own(gateway: Gateway) -> Count:
    add = gateway.adapter_metrics.counter(
        "django_cache_lookups", "Look-ups in Django's caches.", ("cache_alias", "cache_result")
    )

    def count(alias: str, kind: type, hits: int, misses: int, errors: int) -> None:
        for result, number in (("hit", hits), ("miss", misses), ("error", errors)):
            if number > 0:
                add(number, alias, result)

    return count


def _django_prometheus(gateway: Gateway) -> Count:
    metrics, labels = gateway.adapter_metrics, ("backend",)
    gets = metrics.counter("django_cache_get", "Total get requests on cache", labels)
    found = metrics.counter("django_cache_get_hits", "Total hits on cache", labels)
    missed = metrics.counter("django_cache_get_misses", "Total misses on cache", labels)
    failed = metrics.counter("django_cache_get_fail", "Total get request failures by cache", labels)

    def count(alias: str, kind: type, hits: int, misses: int, errors: int) -> None:
        backend = kind.__module__.rpartition(".")[2]  # locmem, redis
        for add, number in (
            (gets, hits + misses + errors),
            (found, hits),
            (missed, misses),
            (failed, errors),
        ):
            if number > 0:
                add(number, backend)

    return count
