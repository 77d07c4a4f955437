"""`python -m obs_middleware doctor URL`: checks a running app from outside."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from obs_middleware.cli import arguments
from obs_middleware.cli.doctor import address, report
from obs_middleware.cli.doctor.checks import CHECKS, run_checks
from obs_middleware.cli.doctor.service import Service
from obs_middleware.cli.doctor.session import Options, Session
from obs_middleware.errors import ConfigError

_EXAMPLES = """\
examples:
  python -m obs_middleware doctor :8000
  python -m obs_middleware doctor localhost:8000 --path /items/7
  python -m obs_middleware doctor https://shop.example.org/api --token "$OBS_METRICS_TOKEN"
  python -m obs_middleware doctor :8000 --ops :9100                  where ops_port is 9100
  python -m obs_middleware doctor :8000 --json | jq '.findings[] | select(.status == "fail")'

It sends some 100 requests by GET, HEAD, OPTIONS, TRACE, PROPFIND, REPORT or a method that does not exist: an app
changes nothing for these.
The exit code is 0, 1 where a check fails or nobody answers, 2 for a wrong argument.
What is not given is taken from the environment as the app takes it: OBS_METRICS_TOKEN, OBS_METRICS_PATH and others.
"""
_AS_IN_SETTINGS = (
    ("metrics_path", "PATH", "default: /metrics"),
    ("live_path", "PATH", "default: /health/live"),
    ("ready_path", "PATH", "default: /health/ready"),
    ("startup_path", "PATH", "default: /health/startup"),
    ("token", "TOKEN", "of the metrics page"),
    ("health_token", "TOKEN", "of the details of probes"),
    ("request_id_header", "NAME", "default: X-Request-ID"),
)


def main(given: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    own = arguments.parser(
        "doctor", "Check from outside whether a running app is observed as it should be.", _EXAMPLES
    )
    add = own.add_argument
    add("address", metavar="URL", help="such as :8000, localhost:8000, or a URL with the app's prefix")
    add("--path", default=Options().path, help="a page that answers GET with 200 (default: /)")
    for name, metavar, about in _AS_IN_SETTINGS:
        setting = "metrics_token" if name == "token" else name
        option = f"--{name.replace('_', '-')}"
        add(option, default=_in_environment(setting, getattr(Options(), name)), metavar=metavar, help=about)
    add("--ops", metavar="URL", help="where metrics and probes are, if ops_port is set")
    add(
        "--timeout",
        type=arguments.seconds,
        default=10.0,
        metavar="SECONDS",
        help="for an answer (default: 10)",
    )
    add("--insecure", action="store_true", help="take any certificate")
    add("--json", action="store_true", help="a report for programs")
    return arguments.run(own, given, _run)


def _in_environment(setting: str, default: str | None) -> str | None:
    """Return a setting of the environment; of several tokens the first."""
    value = os.environ.get(f"OBS_{setting.upper()}", "").strip()
    return (value.split()[0] if setting.endswith("token") else value) if value else default


def _run(given: argparse.Namespace) -> int:
    session = _session(given)
    findings = run_checks(session, on_progress=_progress)
    _clear()
    where = str(session.service.address)
    if given.json:
        sys.stdout.write(report.as_json(where, findings))
    else:
        sys.stdout.write(report.as_text(where, findings, is_coloured=report.takes_colours(sys.stdout)))
    return 0 if report.is_well(findings) else 1


def _session(given: argparse.Namespace) -> Session:
    def service(text: str) -> Service:
        return Service(address.parse(text), timeout_seconds=given.timeout, is_verified=not given.insecure)

    values = {name: getattr(given, name) for name in Options.__struct_fields__}
    for name, value in values.items():
        if name.endswith("path") and not value.startswith("/"):
            raise ConfigError(f"--{name.replace('_', '-')} must begin with /, got {value!r}")
    own = service(given.address)
    return Session(own, own if given.ops is None else service(given.ops), Options(**values))


def _progress(number: int, name: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{number}/{len(CHECKS)} {name}…")
        sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
