from django.apps import AppConfig
from django.db import connection

from obs_django import get_observer


class ZerostateConfig(AppConfig):
    name = "example_apps.zerostate"

    def ready(self) -> None:
        from example_apps.zerostate import telemetry  # noqa: F401 - its metrics are there from the first scrape on

        get_observer().health.add("storage", check_storage)


def check_storage() -> None:
    """Raise if the database or its tables are gone."""
    from example_apps.zerostate.models import Guild  # models can be imported only once all apps are loaded

    try:
        Guild.objects.exists()
    finally:
        connection.close()  # checks run outside a request: nobody else gives the connection back
