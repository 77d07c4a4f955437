"""The servers of others that the tests run: Prometheus, its linter, Alertmanager, Pushgateway."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CACHE = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
FOLDER = Path(os.environ.get("DEBIAN_TESTING") or Path(CACHE) / "obs-middleware-debian")


def find(name: str) -> str | None:
    """Return the path of a program: what scripts/fetch-debian-testing has fetched comes before what is installed."""
    return shutil.which(str(FOLDER / "root/usr/bin" / name)) or shutil.which(name)
