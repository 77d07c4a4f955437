"""`python -m obs_middleware COMMAND`, also the script `obs-middleware`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    from obs_middleware.cli import commands

    return commands.run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
