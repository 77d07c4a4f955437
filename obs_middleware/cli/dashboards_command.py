"""`python -m obs_middleware dashboards OUT`: copies the Grafana dashboards that come with the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from obs_middleware.cli import arguments
from obs_middleware.errors import ConfigError

_EXAMPLES = """\
examples:
  python -m obs_middleware dashboards grafana/dashboards
  python -m obs_middleware dashboards /var/lib/grafana/dashboards --force

Files that are there already stay, unless --force is given. The exit code is 0, or 2 where nothing was written.
"""
_LOADING = """
Load them in Grafana: Dashboards > New > Import, or let Grafana read the folder by a file in provisioning/dashboards:
  apiVersion: 1
  providers:
    - name: obs-middleware
      options: {{path: {folder}}}
"""


def main(given: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    own = arguments.parser("dashboards", "Copy Grafana dashboards into a folder.", _EXAMPLES)
    own.add_argument("folder", metavar="OUT", type=Path, help="made where it is not there")
    own.add_argument("--force", action="store_true", help="replace files that are there")
    return arguments.run(own, given, _run)


def rendered() -> dict[str, str]:
    """Return the dashboards of the package by their file names."""
    folder = files("obs_middleware.cli").joinpath("dashboards")
    found = sorted(folder.iterdir(), key=lambda one: one.name) if folder.is_dir() else []
    return {one.name: one.read_text(encoding="utf-8") for one in found if one.name.endswith(".json")}


def _run(given: argparse.Namespace) -> int:
    dashboards, folder = rendered(), given.folder
    if not dashboards:
        raise ConfigError("this installation has no dashboards: install obs-middleware again, from its wheel")
    there = [name for name in dashboards if os.path.lexists(folder / name)]
    if there and not given.force:
        raise ConfigError(
            f"{folder} has {', '.join(there)} already: nothing was written; --force replaces them"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in dashboards.items():
            (folder / name).write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {folder / name}  {json.loads(text).get('title', '')}\n")
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {error.strerror}") from None
    sys.stdout.write(_LOADING.format(folder=folder.absolute()))
    return 0
