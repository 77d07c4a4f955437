"""Django's databases are asked by themselves; its caches, migrations and storage by a line each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.support import ROOT
from tests.real.ready_made.servers import Servers

pytestmark = pytest.mark.once
Scene = Callable[[str], Any]


@pytest.fixture
def scene(servers: Servers) -> Scene:
    """Run a scene of `django_app.py`; a process has one Django, which takes half a second to start."""

    def run(name: str) -> Any:
        ports = {name: servers.port(name) for name in ("postgres", "mariadb", "redis", "memcached")}
        command = [sys.executable, "-m", "tests.real.ready_made.django_app", name, json.dumps(ports)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_300_probes_hold_one_connection_of_each_server(scene: Scene) -> None:
    found = scene("many")
    assert found["statuses"] == [200]
    assert found["held"] == {"postgres": 1, "mariadb": 1, "redis": 1, "memcached": 1}


def test_connection_that_was_cut_while_it_waited_is_no_failure(scene: Scene) -> None:
    assert scene("cut") == [200, 200, 200]


def test_database_with_a_pool_is_asked(scene: Scene) -> None:
    assert scene("pooled") == ["pass"]


def test_databases_are_asked_without_a_line(scene: Scene) -> None:
    assert scene("databases") == {
        "database:default": "pass",
        "database:shop": "pass",
        "database:file": "pass",
    }


def test_setting_names_the_databases_that_are_asked(scene: Scene) -> None:
    assert scene("left_out") == ["database:file"]


def test_setting_with_a_database_that_there_is_not_is_an_error_of_the_system_check(scene: Scene) -> None:
    (message,) = scene("unknown")
    assert "OBS_DJANGO_HEALTH_DATABASES" in message
    assert "got shops" in message


def test_default_database_that_is_gone_makes_the_service_unready(scene: Scene) -> None:
    assert scene("down")["database:default"] == "fail"


def test_other_database_that_is_gone_degrades_the_service(scene: Scene) -> None:
    assert scene("other_down") == {
        "database:default": "pass",
        "database:shop": "warn",
        "database:file": "pass",
    }


def test_pending_migrations_fail_until_they_have_run(scene: Scene) -> None:
    before, after = scene("migrations")
    assert before["status"] == "fail"
    assert before["output"].endswith("pending in default")
    assert after["status"] == "pass"


def test_storage_whose_folder_is_gone_fails_and_no_file_is_left(scene: Scene) -> None:
    left, statuses = scene("storage")
    assert left == []
    assert statuses == {"reads": "fail", "writes": "fail"}


def test_cache_that_is_gone_fails_also_where_its_backend_hides_it(scene: Scene) -> None:
    assert scene("cache_gone") == {"gone": "fail", "hidden": "fail"}
