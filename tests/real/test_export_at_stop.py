"""What was counted up to the stop is exported, whichever server stops: its interval has not come yet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import installed, running
from tests.core.support import eventually
from tests.installed import ROOT

GUNICORN = [
    "gunicorn",
    "--bind",
    "127.0.0.1:{port}",
    "--log-level",
    "warning",
    "tests.real.exporting_app:wsgi",
]
SERVERS = {
    "gunicorn two workers": [*GUNICORN, "--workers", "2"],
    "gunicorn preload two workers": [*GUNICORN, "--workers", "2", "--preload"],
    "uvicorn two workers": [
        *("uvicorn", "--port", "{port}", "--workers", "2"),
        *("--timeout-worker-healthcheck", "60"),  # a busy machine's worker is not replaced
        "tests.real.exporting_app:asgi",
    ],
    "uvicorn": ["uvicorn", "--port", "{port}", "tests.real.exporting_app:asgi"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "tests.real.exporting_app:asgi"],
    "gunicorn sync": GUNICORN,
    "gunicorn gthread": [*GUNICORN, "--threads", "2"],
    "gunicorn preload": [*GUNICORN, "--preload"],
}


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("uvicorn", "gunicorn preload two workers")
        else pytest.param(name, marks=pytest.mark.once)
        for name in SERVERS
    ],
)
def test_the_last_numbers_are_exported_when_a_server_stops(name: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "FILE": str(file)}
    command = [sys.executable, "-m", *SERVERS[name]]
    with running.serve(command, folder=tmp_path, env=env) as server:
        server.get("/")
        eventually(file.exists)
        for _ in range(39):
            server.get("/")
        server.access(40)
        server.stop()

    def exported() -> Any:
        return json.loads(file.read_text())

    assert exported()["running"] is False, server.stderr
    assert exported()["metrics"]["orders"]["samples"][0]["value"] == 40
