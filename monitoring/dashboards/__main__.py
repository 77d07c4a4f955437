"""Render the dashboards: `python -m monitoring.dashboards`; with `--check`, only name the files that are stale."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from monitoring.dashboards.rendering import DASHBOARDS, ROOT, stale, write


def main(arguments: Sequence[str]) -> int:
    if unknown := [argument for argument in arguments if argument != "--check"]:
        print(f"unknown: {' '.join(unknown)}. {__doc__}", file=sys.stderr)
        return 2
    changed = stale() if arguments else write()
    for path in changed:
        print(f"{'stale' if arguments else 'written'}: {path.relative_to(ROOT)}")
    print(
        f"{len(DASHBOARDS)} dashboards, {len(changed)} of their files {'stale' if arguments else 'written'}"
    )
    return 1 if arguments and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
