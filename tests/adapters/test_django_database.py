"""Queries by database and operation, of each request too; the warning for a query that is made again and again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from obs_middleware import Observer
from tests.adapters import django_project
from tests.core.support import ROOT, started

QUERIES = "db_client_operation_duration_seconds_count"


@cache
def served(names: str, settings: str = "{}") -> dict[str, Any]:
    """Return what a process shows that has served these views."""
    command = [sys.executable, "-m", "tests.adapters.django_shop", names, settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def count(found: dict[str, Any], name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        float(value)
        for sample, value in found["samples"].items()
        if sample.partition("{")[0] == name and all(pair in sample for pair in wanted)
    )


def lines(found: dict[str, Any], view: str) -> list[dict[str, Any]]:
    return [
        line for line in found["lines"] if line["logger"] == "obs.access" and line["path"] == f"/{view}/1"
    ]


def observed() -> dict[str, Any]:
    """Return what a process shows that has served every view; it takes two seconds, once for all tests."""
    views = "migrate,two,both,none,broken,stream,blocked,queries_in_async,cached,many,many"
    return served(views, json.dumps({"OBS_N_PLUS_ONE_QUERIES": 10}))


def test_queries_are_counted_by_database_and_operation() -> None:
    found = observed()
    labels = {"db_alias": "default", "db_system_name": "sqlite", "error_type": ""}
    assert count(found, QUERIES, db_operation_name="SELECT", **labels) == 2 + 2 + 2 + 3 + 60
    assert count(found, QUERIES, db_alias="other", db_operation_name="CREATE") == 1
    assert count(found, QUERIES, db_alias="other", db_operation_name="INSERT") == 1
    assert count(found, QUERIES) == 72


def test_query_that_fails_is_counted_with_its_error() -> None:
    found = observed()
    assert count(found, QUERIES, error_type="django.db.utils.OperationalError") == 1
    assert found["bodies"][3] == "broken"


def test_access_line_has_the_queries_and_their_time() -> None:
    found = observed()
    (line,) = lines(found, "two")
    assert line["db_queries"] == 2
    assert 0 < line["db_ms"] < line["duration_ms"]
    (line,) = lines(found, "none")
    assert not {"db_queries", "db_ms"} & line.keys()
    assert [line["db_queries"] for line in lines(found, "broken")] == [1]
    assert [line["db_queries"] for line in lines(found, "stream")] == [2]
    assert [line["db_queries"] for line in lines(found, "queries_in_async")] == [3]


def test_wrapper_of_the_apps_own_is_taken_off_as_ever() -> None:
    assert observed()["bodies"][5] == "SELECT 5"


def test_query_that_is_made_again_and_again_is_warned_of_once_without_its_secrets() -> None:
    found = observed()
    warnings = [line for line in found["lines"] if line["logger"] == "obs.queries"]
    assert {line["code.function.name"] for line in warnings} == {"_run"}
    assert all(line["code.file.path"].endswith("tests/adapters/django_shop.py") for line in warnings)
    assert [line["level"] for line in warnings] == ["WARNING", "WARNING"]  # two statements
    for line in warnings:
        assert "GET /many/1 has made one query 10 times" in line["message"]
        assert "jane@example.org" not in line["message"]
        assert line["request_id"]
    assert [line["db_queries"] for line in lines(found, "many")] == [30, 30]


def test_nothing_is_counted_or_warned_of_where_nobody_wants_to_know() -> None:
    found = served("two,cached", json.dumps({"OBS_DJANGO_METRICS": ["migrations"]}))
    assert not any(sample.startswith(("db_client", "django_cache")) for sample in found["samples"])
    assert "db_queries" not in lines(found, "two")[0]


def test_names_of_django_prometheus_are_there_for_queries_caches_and_views() -> None:
    names = json.dumps({"OBS_METRIC_NAMES": ["django-prometheus"]})
    found = served("two,broken,cached,many", names)
    key = {"alias": "default", "vendor": "sqlite"}
    assert count(found, "django_db_execute_total", **key) == 33
    assert count(found, "django_db_query_duration_seconds_count", **key) == 33
    assert count(found, "django_db_errors_total", type="OperationalError", **key) == 1
    assert count(found, "django_db_new_connections_total", **key) >= 1
    assert count(found, "django_cache_get_hits_total", backend="locmem") == 4
    assert count(found, "django_cache_get_misses_total", backend="locmem") == 5
    assert len([line for line in found["lines"] if line["logger"] == "obs.queries"]) == 0  # 15 times each
    assert count(found, "django_http_responses_total_by_status_view_method_total", view="see-two") == 1


# In this process, whose Django the probe app shares


def internal_errors(observer: Observer) -> float | None:
    return observer.registry.get_sample_value("obs_internal_errors_total", {"component": "queries"})


@pytest.fixture
def timed(observer: Observer) -> Iterator[Observer]:
    """Have the queries of connections to come timed."""
    django_project.start()
    from django.db.backends.signals import connection_created

    from obs_django.database import time_queries

    time_queries(observer.gateway)
    yield observer
    connection_created.disconnect(dispatch_uid="obs_django")


def test_connection_that_takes_no_wrapper_works_without_its_queries(timed: Observer) -> None:
    """Of a backend that somebody has written without Django's own class."""
    from django.db.backends.signals import connection_created

    connection_created.send(object, connection=object())
    assert internal_errors(timed) == 1


def test_query_that_cannot_be_noted_is_run_all_the_same(timed: Observer) -> None:
    from django.db.backends.signals import connection_created

    class Connection:
        alias, execute_wrappers = "default", list[Any]()  # and no vendor

    class Composed:
        def __str__(self) -> str:
            raise TypeError("no connection to ask for quotes")

    connection_created.send(object, connection=Connection)
    (timer,) = Connection.execute_wrappers
    for connection in (Connection, type("Other", (), {"alias": "default", "vendor": "odd"})):
        with started(timed):
            assert timer(lambda *given: given[0], Composed, (), False, {"connection": connection}) is Composed
            assert timer(lambda *_: 7, Composed(), (), False, {"connection": connection}) == 7
    assert internal_errors(timed) == 3
