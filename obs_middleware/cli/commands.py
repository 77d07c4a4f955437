"""Which commands there are, and the one that is run; each is imported when it is asked for."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "doctor": ("obs_middleware.cli.doctor.command", "check a running app from outside"),
    "health": ("obs_middleware.health.command", "ask whether a server, or an app without one, is healthy"),
    "settings": ("obs_middleware.cli.settings", "show every setting, its value and where that comes from"),
    "lint": ("obs_middleware.cli.lint.command", "check dashboards and rules against the metrics there are"),
    "rules": ("obs_middleware.cli.rules.command", "write SLO rules and burn-rate alerts for Prometheus"),
    "dashboards": ("obs_middleware.cli.dashboards_command", "copy Grafana dashboards into a folder"),
}
_WIDTH = max(map(len, _COMMANDS))
_HELP = f"""\
usage: python -m obs_middleware COMMAND

commands:
{"".join(f"  {name:{_WIDTH}}  {about}" + chr(10) for name, (_, about) in _COMMANDS.items())}
examples:
  python -m obs_middleware doctor :8000
  python -m obs_middleware settings
  python -m obs_middleware rules --service shop --objective 99.9 -o slo.yaml

python -m obs_middleware COMMAND --help tells more. The script obs-middleware does the same.
"""


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code."""
    name, *rest = arguments or [""]
    if name in ("--help", "-h", "help"):
        sys.stdout.write(_HELP)
        return 0
    if name not in _COMMANDS:
        sys.stderr.write(_unknown(name) if name else _HELP)
        return 2
    try:
        return int(import_module(_COMMANDS[name][0]).main(rest))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # of `| head`; what Python still holds back must not raise at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _COMMANDS, cutoff=0.5) or [*_COMMANDS]
    return f"python -m obs_middleware: there is no command {name!r}: did you mean {' or '.join(near)}?\n"
