"""Look-ups in caches: what is found is what the backend finds, and each is a hit, a miss or an error."""

from __future__ import annotations

import json

from tests.adapters.test_django_database import count, observed
from tests.core.support import python

LOOKUPS = "django_cache_lookups_total"


def test_values_are_those_of_the_backend() -> None:
    body = observed()["bodies"][7]
    assert json.loads(body) == [None, 7, 8, None, [["b", 1], ["c", 2]], 10, 11, {}]


def test_hits_and_misses_are_counted_by_cache() -> None:
    found = observed()
    # `a` of the async view, `a` twice and its version 2, `d`, and `e` before it was set; then `a`, `b`, `c` and `e`.
    assert count(found, LOOKUPS, cache_alias="default", cache_result="miss") == 6
    assert count(found, LOOKUPS, cache_alias="default", cache_result="hit") == 4
    assert count(found, LOOKUPS, cache_alias="dummy", cache_result="miss") == 3
    assert count(found, LOOKUPS, cache_result="error") == 0


def test_what_another_library_has_wrapped_stays_wrapped() -> None:
    """As sentry does it: around the making of a backend, and around its methods."""
    text = python(NEIGHBOUR)
    assert json.loads(text) == {
        "found": [7, 1],
        "calls": ["make default", "get a", "get b"],
        "hits": 1,
        "misses": 1,
    }


NEIGHBOUR = """
import functools, json
from django.conf import settings
settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    INSTALLED_APPS=["obs_django"], LOGGING_CONFIG=None, DATABASES={}, OBS_LOG_SETUP=False,
)
import django
django.setup()
from django.core.cache import CacheHandler, caches
from obs_django import get_observer
from obs_django.caches import count_lookups
from prometheus_client import REGISTRY
calls = []
real = CacheHandler.create_connection
@functools.wraps(real)
def create_connection(self, alias):
    calls.append(f"make {alias}")
    cache = real(self, alias)
    real_get = cache.get
    @functools.wraps(real_get)
    def get(key, *args, **kwargs):
        calls.append(f"get {key}")
        return real_get(key, *args, **kwargs)
    cache.get = get
    return cache
count_lookups(get_observer().gateway)
CacheHandler.create_connection = create_connection
count_lookups(get_observer().gateway)
cache = caches["default"]
count_lookups(get_observer().gateway)
cache.set("b", 1)
found = [cache.get("a", 7), cache.get("b")]
value = lambda result: REGISTRY.get_sample_value(
    "django_cache_lookups_total", {"cache_alias": "default", "cache_result": result})
print(json.dumps({"found": found, "calls": calls, "hits": value("hit"), "misses": value("miss")}))
"""


BROKEN = """
import django
from django.conf import settings
settings.configure(
    DATABASES={}, LOGGING_CONFIG=None, INSTALLED_APPS=[],
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "other": {"BACKEND": "nowhere.Cache"},
    },
)
django.setup()
from django.core.cache import cache
cache.set("a", 1)  # before us
from obs_django.besides import look_besides
from obs_middleware import Observer
own = Observer(log_setup=False)
look_besides(own.gateway)
print(cache.get("a"), cache.get("b"))
page = own.metrics.snapshot()
print([sample["value"] for sample in page["django_cache_lookups"]["samples"] if sample["name"].endswith("_total")])
print(own.registry.get_sample_value("obs_internal_errors_total", {"component": "caches"}))
print("django_migrations_pending" in page)
"""


def test_cache_whose_backend_is_not_there_costs_no_start_and_nothing_besides() -> None:
    """Nobody may use it."""
    assert python(f"import logging; logging.disable()\n{BROKEN}").splitlines() == [
        "1 None",
        "[1.0, 1.0]",
        "1.0",
        "True",
    ]
