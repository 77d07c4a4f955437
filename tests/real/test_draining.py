"""Servers of the field drain: each is really started, loaded, and really ended.

It takes some seconds, because sixteen servers start and drain.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installed import ROOT
from tests.real import draining


@pytest.mark.once
@pytest.mark.timeout(400)
def test_a_client_that_obeys_readiness_loses_nothing_when_a_server_ends(tmp_path: Path) -> None:
    """As docs/lifecycle.md tells it: no failed request, no lost line, span or number; live is 200 meanwhile.

    And on a port of its own, liveness answers while all that a server has for requests is stuck.
    """
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    found, live = draining.drills(tmp_path), draining.all_while_stuck(tmp_path)
    for name, drill in found.items():
        assert not drill.failed, (name, drill)
        assert draining.row(name, drill, live[name]) in page, (name, drill)
        assert drill.seconds >= draining.DRAIN_SECONDS or name in draining.BY_REQUEST, (name, drill)


@pytest.mark.once
def test_requests_that_last_longer_than_the_drain_are_answered(tmp_path: Path) -> None:
    """Also by servers that end at once: their signal waits until nothing is under way, as long again at most."""
    names = ["daphne", "waitress", "uvicorn, no lifespan"]
    found = draining.drills(tmp_path, names, work_seconds=7.5, drain_seconds=6.0)
    for name, drill in found.items():
        assert drill.answered >= draining.CLIENTS, (name, drill)
        assert not drill.failed, (name, drill)
        assert drill.lost_lines == drill.lost_spans == drill.lost_counts == 0, (name, drill)
