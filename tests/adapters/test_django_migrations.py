"""Migrations that a database still lacks are a gauge."""

from __future__ import annotations

from tests.adapters.test_django_database import count, observed

PENDING = "django_migrations_pending"


def test_pending_migrations_are_shown_by_database() -> None:
    found = observed()
    assert f'{PENDING}{{db_alias="default"}}' in found["samples"]
    assert count(found, PENDING, db_alias="default") == 0  # it was migrated
    assert count(found, PENDING, db_alias="other") > 5
