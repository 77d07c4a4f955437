from django.apps import AppConfig


class ZerostateConfig(AppConfig):
    name = "example_apps.zerostate"

    def ready(self) -> None:
        # Both import models, which is possible once all apps are loaded; metrics are there from the first scrape on.
        from example_apps.zerostate import health, telemetry  # noqa: F401
