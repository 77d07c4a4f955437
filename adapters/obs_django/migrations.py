"""Migrations that a database still lacks, as the gauge `django_migrations_pending`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections

from obs_middleware.gateway import Gateway


def show_migrations(gateway: Gateway) -> None:
    """Show how many migrations are pending, by database."""
    gauge, label = gateway.adapter_metrics.gauge, "db_alias"
    gauge("django_migrations_pending", "Migrations that a database still lacks.", label, pending)
    if gateway.has_names_of("django-prometheus"):
        names = "django_migrations_unapplied_total", "django_migrations_applied_total"
        abouts = "unapplied", "applied"
        for name, about, read in zip(names, abouts, (pending, _applied), strict=True):
            gauge(name, f"Count of {about} migrations by database connection", "connection", read)


def pending() -> Mapping[str, float]:
    """Return how many migrations each database still lacks."""
    return _by_database(lambda executor: len(executor.migration_plan(executor.loader.graph.leaf_nodes())))


def _applied() -> Mapping[str, float]:
    return _by_database(lambda executor: len(executor.loader.applied_migrations))


def _by_database(count: Callable[[Any], int]) -> Mapping[str, float]:
    """Return a number for each database; a thread calls this that has connections of its own."""
    from django.db.migrations.executor import MigrationExecutor  # which wants the apps to be ready

    numbers: dict[str, float] = {}
    try:
        for alias in connections:
            connection = connections[alias]
            is_in_memory = getattr(connection, "is_in_memory_db", bool)()  # which another thread does not see
            if connection.vendor == "unknown" or is_in_memory:
                continue
            connection.ensure_connection()
            connection.execute_wrappers.clear()  # these queries are ours, and not the app's
            numbers[alias] = count(MigrationExecutor(connection))
    finally:
        connections.close_all()
    return numbers
