"""Servers of the field drain: each is really started, loaded, and really ended.

It takes some seconds, because sixteen servers start and drain.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installed import ROOT
from tests.real import draining


@pytest.mark.once
def test_a_client_that_obeys_readiness_loses_nothing_when_a_server_ends(tmp_path: Path) -> None:
    """As docs/lifecycle.md tells it: no failed request, no lost line, span or number; live is 200 meanwhile."""
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    found = draining.drills(tmp_path)
    for name, drill in found.items():
        assert not drill.failed, (name, drill)
        assert draining.row(name, drill) in page, (name, drill)
        assert drill.seconds >= draining.DRAIN_SECONDS or name in draining.BY_REQUEST, (name, drill)
