"""An event loop that a view has blocked is seen on the metrics page, under a real server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import installed, running
from tests.installed import ROOT


@pytest.mark.once
def test_a_blocked_loop_is_seen_under_uvicorn(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "tests.real.runtime_app:app"]
    env = installed.clean() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    with running.serve(command, folder=tmp_path, env=env) as server:
        for _ in range(2):  # the first one starts the timer
            assert server.get("/").body == b"late"
        page = server.get("/metrics").body.decode()
    numbers = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert 0.25 <= float(numbers["asyncio_event_loop_lag_max_seconds"]) < 60
    assert float(numbers["asyncio_tasks"]) >= 1
    assert float(numbers["process_open_fds"]) > 3
