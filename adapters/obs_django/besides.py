"""What is counted of Django besides requests: queries, look-ups in caches, pending migrations."""

from __future__ import annotations

from obs_django.caches import count_lookups
from obs_django.database import time_queries
from obs_django.migrations import show_migrations
from obs_django.routes import view_name
from obs_middleware.gateway import Gateway


def look_besides(gateway: Gateway) -> None:
    """Count what the settings ask for; what fails costs itself alone."""
    for name, look in (("queries", time_queries), ("caches", count_lookups), ("migrations", show_migrations)):
        if gateway.observes(name):
            try:
                look(gateway)
            except Exception as error:
                gateway.report(name, error)
    if gateway.has_names_of("django-prometheus"):
        gateway.name_views(view_name)
