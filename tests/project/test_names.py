"""docs/guides/names.md is what the code has now. It takes two seconds, because two apps are served."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import installed


def test_page_of_names_is_that_of_the_code() -> None:
    """In a process of its own, because Django can be set up once."""
    paths = os.pathsep.join((str(installed.ROOT), str(installed.ROOT / "adapters")))
    done = subprocess.run(
        [sys.executable, "scripts/names_page.py", "--print"],
        cwd=installed.ROOT, env=installed.clean() | {"PYTHONPATH": paths}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    page = (installed.ROOT / "docs/guides/names.md").read_text(encoding="utf-8")
    assert done.stdout.decode() == page, "call `make names`"
