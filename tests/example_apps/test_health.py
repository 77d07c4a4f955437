"""What the checks of two services say when the part that they ask is gone."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from example_apps.demo.processes import ROOT
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.utilityfog import storage

PARTS_OF_ZEROSTATE = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)

from example_apps.zerostate import health, wasm
from example_apps.zerostate.models import Channel, Guild, Payment

def status(check):
    try:
        found = check()
    except Exception:
        return "fail"
    return found.status if found else "pass"

def statuses():
    return [status(c) for c in (health.storage, health.guild_manager, health.payment_channels, health.wasm_runtime)]

scenes = {"well": statuses(), "left": [Payment.objects.count(), Channel.objects.count()]}
Guild.objects.update(state="dissolved")
scenes["no guild is active"] = statuses()
connection.cursor().execute("PRAGMA query_only = 1")
scenes["read-only"] = statuses()
connection.cursor().execute("PRAGMA query_only = 0")
programs = dict(wasm.PROGRAMS)
wasm.PROGRAMS["rank"] = programs["mean"]
scenes["wrong answer"] = statuses()
wasm.PROGRAMS.update(programs, spin=programs["grow"])
scenes["no end to its fuel"] = statuses()
wasm.PROGRAMS.update(programs)
for table in ("payment", "task", "channel", "guild_members", "guild"):
    connection.cursor().execute(f"DROP TABLE zerostate_{table}")
scenes["no tables"] = statuses()
"""


@pytest.mark.once
def test_each_check_of_zerostate_fails_with_its_own_part(tmp_path: Path) -> None:
    scenes = scenes_of(
        PARTS_OF_ZEROSTATE,
        DJANGO_SETTINGS_MODULE="example_apps.zerostate.settings",
        ZEROSTATE_DB=str(tmp_path / "storage.sqlite3"),
    )
    assert scenes == {
        "well": ["pass", "pass", "pass", "pass"],
        "left": [0, 0],
        "no guild is active": ["pass", "warn", "pass", "pass"],
        "read-only": ["pass", "warn", "fail", "pass"],
        "wrong answer": ["pass", "warn", "pass", "fail"],
        "no end to its fuel": ["pass", "warn", "pass", "fail"],
        "no tables": ["fail", "fail", "fail", "pass"],
    }


START_OF_UTILITYFOG = """
import time
from starlette.testclient import TestClient
from example_apps.utilityfog.app import app

scenes = {}
with TestClient(app) as client:
    while not scenes or "still runs" in scenes["startup"]:
        time.sleep(0.01)
        answer = client.get("/health/startup", headers={"Authorization": "Bearer demo-health-token"})
        scenes = {"status": answer.status_code, "startup": answer.text}
"""


@pytest.mark.once
def test_utilityfog_does_not_start_on_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "storage.sqlite3"
    monkeypatch.setattr(storage, "PATH", file)
    storage.create()
    storage.add_messages(list(range(13)), "rebalance", "all")
    storage.verify()
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = 1")  # an index whose rows are those of another table
        database.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'messages_of_node'")
    scenes = scenes_of(START_OF_UTILITYFOG, UTILITYFOG_DB=str(file), OBS_HEALTH_TOKEN=HEALTH_TOKEN)
    assert scenes["status"] == 503
    assert "verify_storage" in scenes["startup"]


def scenes_of(script: str, **environment: str) -> Any:
    """Run a script that has `scenes` in the end, in a process of its own, because it sets up logging."""
    done = subprocess.run(
        [sys.executable, "-c", script + "\nimport json\nprint(json.dumps(scenes))"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
