"""The command that makes the table of docs/workers.md; what servers do is tested in test_workers.py.

It takes seconds, because it starts three servers, and workers end and are replaced.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real import worker_table
from tests.real.worker_servers import OURS

NAME = "gunicorn gthread, preload"


@pytest.mark.once
@pytest.mark.timeout(400)
def test_the_table_is_measured_and_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "workers.md"
    page.write_text(f"before\n{worker_table.BEGIN}old\n{worker_table.END}after\n", encoding="utf-8")
    worker_table.write(worker_table.table([NAME], tmp_path, ways=(OURS,), dead=2), page)
    before, begin, *head, row, end, after = page.read_text(encoding="utf-8").splitlines(keepends=True)
    assert (before, begin, end, after) == ("before\n", worker_table.BEGIN, worker_table.END, "after\n")
    assert "".join(head) == worker_table.HEAD.format(dead=2)
    assert row.startswith(f"| {NAME} | ours | yes | yes | yes | yes | yes | 2 |"), row
