"""`manage.py obs_health` runs the project's checks, and ends with 1 where one has failed."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from obs_django import get_observer
from obs_middleware.health import Result
from tests.adapters.django_project import project

pytestmark = pytest.mark.once


def told(*arguments: str) -> str:
    output = io.StringIO()
    call_command("obs_health", *arguments, stdout=output)
    return output.getvalue()


def test_checks_of_the_project_run_here() -> None:
    with project():
        health = get_observer().health
        health.add("replicas", lambda: Result("warn", output="2 of 3"))
        assert told() == "warn  replicas: 2 of 3\n"
        health.add("database", lambda: False)
        with pytest.raises(CommandError, match="fail  database: returned False"):
            told()


def test_server_is_asked_by_its_url_and_a_wrong_argument_is_told() -> None:
    with project():
        with pytest.raises(CommandError, match="refused"):
            told("http://127.0.0.1:1")
        with pytest.raises(CommandError, match="no check has the group 'nothing'"):
            told("--group", "nothing")
        with pytest.raises(CommandError, match="above 0"):
            told("--timeout", "0")
