"""Queries: how many, how long, by database and operation; of each request too. No ENGINE is changed.

Every connection gets a wrapper of Django's own kind (https://docs.djangoproject.com/en/stable/topics/db/instrumentation/).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from obs_middleware.gateway import Gateway, error_name, operation_of

# https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
_NAME = "db_client_operation_duration_seconds"
_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_LABELS = ("db_alias", "db_system_name", "db_operation_name", "error_type")
# django-prometheus' own, and where its dashboards look for them.
_PROMETHEUS_BOUNDS = (
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    25.0,
    50.0,
    75.0,
)
_SYSTEMS = {
    "oracle": "oracle.db",
    "microsoft": "microsoft.sql_server",
}  # where OpenTelemetry has another word

Measure = Callable[[Any, str, float, str], None]  # connection, operation, seconds and the error's type


class QueryTimer:
    """Time queries; one for all connections, so that none holds itself by its wrapper."""

    __slots__ = ("_gateway", "_measures")

    def __init__(self, gateway: Gateway, measures: list[Measure]) -> None:
        self._gateway, self._measures = gateway, measures

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        began, error_type = perf_counter(), ""
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            error_type = error_name(error)
            raise
        finally:
            self._note(sql, perf_counter() - began, error_type, context)

    def _note(self, sql: Any, seconds: float, error_type: str, context: Any) -> None:
        try:
            operation = operation_of(sql)
            for measure in self._measures:
                measure(context["connection"], operation, seconds, error_type)
            self._gateway.note_query(sql, seconds)
        except Exception as error:
            self._gateway.report("queries", error)


def time_queries(gateway: Gateway) -> None:
    """Time the queries of all connections, those that are open already too."""
    measures = [_semconv(gateway)]
    connect: Callable[[Any], None] | None = None
    if gateway.has_names_of("django-prometheus"):
        measure, connect = _django_prometheus(gateway)
        measures.append(measure)

    timer = QueryTimer(gateway, measures)

    def watch(connection: Any, **_: Any) -> None:
        try:
            if connect is not None:
                connect(connection)
            _add_timer(connection, timer)
        except Exception as error:
            gateway.report("queries", error)

    connection_created.disconnect(dispatch_uid="obs_django")  # of a middleware that was made before
    connection_created.connect(watch, weak=False, dispatch_uid="obs_django")
    for connection in connections.all(initialized_only=True):
        _add_timer(connection, timer)


def _add_timer(connection: Any, timer: QueryTimer) -> None:
    """Put the timer first: `with connection.execute_wrapper(…)` takes the last one off at its end."""
    wrappers = connection.execute_wrappers
    wrappers[:] = [timer, *(one for one in wrappers if not isinstance(one, QueryTimer))]


def _semconv(gateway: Gateway) -> Measure:
    observe = gateway.adapter_metrics.histogram(_NAME, "Duration of database operations.", _LABELS, _BOUNDS)

    def measure(connection: Any, operation: str, seconds: float, error_type: str) -> None:
        vendor = connection.vendor
        observe(seconds, connection.alias, _SYSTEMS.get(vendor, vendor), operation, error_type)

    return measure


def _django_prometheus(gateway: Gateway) -> tuple[Measure, Callable[[Any], None]]:
    metrics, labels = gateway.adapter_metrics, ("alias", "vendor")
    duration = metrics.histogram(
        "django_db_query_duration_seconds",
        "Histogram of query duration by database and vendor.",
        labels,
        _PROMETHEUS_BOUNDS,
    )
    executed = metrics.counter(
        "django_db_execute", "Counter of executed statements by database and by vendor.", labels
    )
    errors = metrics.counter(
        "django_db_errors",
        "Counter of execution errors by database, vendor and exception type.",
        (*labels, "type"),
    )
    created = metrics.counter(
        "django_db_new_connections", "Counter of created connections by database and by vendor.", labels
    )

    def measure(connection: Any, operation: str, seconds: float, error_type: str) -> None:
        names = connection.alias, connection.vendor
        duration(seconds, *names)
        executed(1, *names)
        if error_type:
            errors(1, *names, error_type.rpartition(".")[2])

    return measure, lambda connection: created(1, connection.alias, connection.vendor)
