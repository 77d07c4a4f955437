"""The commands: `python -m obs_middleware health`."""

from __future__ import annotations

import sys

_HELP = """\
usage: python -m obs_middleware COMMAND

commands:
  health   ask whether a server, or an app without one, is healthy

python -m obs_middleware COMMAND --help tells more.
"""


def main(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    if arguments[:1] == ["health"]:
        from obs_middleware.health import command

        return command.main(arguments[1:])
    is_asked_for = arguments[:1] in (["--help"], ["-h"])
    print(_HELP, end="", file=sys.stdout if is_asked_for else sys.stderr)
    return 0 if is_asked_for else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
