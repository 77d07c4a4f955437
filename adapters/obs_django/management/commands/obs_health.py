"""`manage.py obs_health`: run the registered checks here, or ask a server that runs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from obs_django.observer import get_observer
from obs_middleware import ConfigError
from obs_middleware.gateway import add_health_arguments, ask_health


class Command(BaseCommand):
    """Run the checks of this project, or ask a server by its URL; the exit code is 0 or 1."""

    help = "Run the health checks of this project here; with a URL, ask a server that runs. Exit code 0 or 1."
    requires_system_checks: ClassVar[list[str]] = []  # a probe is to be quick

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add those of `python -m obs_middleware health`."""
        add_health_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        """Ask, and tell.

        Raises:
            CommandError: it is not well.
        """
        target = options["target"] or get_observer().health
        try:
            is_well, lines = ask_health(target, group=options["group"], timeout_seconds=options["timeout"])
        except ConfigError as wrong:
            raise CommandError(str(wrong)) from None
        if not is_well:
            raise CommandError("\n".join(lines))
        self.stdout.write("\n".join(lines))
