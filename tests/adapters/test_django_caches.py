"""Look-ups in caches: what is found is what the backend finds, and each is a hit, a miss or an error."""

from __future__ import annotations

import json

from tests.adapters.test_django_database import count, observed

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
