"""Ask for health from a command line: of a server by its URL, or of the checks that an app has registered.

`python -m obs_middleware health` is made for Docker's HEALTHCHECK and for cron: its exit code is 0 or 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obs_middleware.app_target import observer_of
from obs_middleware.errors import ConfigError
from obs_middleware.health.registry import READY
from obs_middleware.health.result import FAIL, PASS, WARN

if TYPE_CHECKING:
    from obs_middleware.health.registry import Health

_MOST_BYTES = 1_000_000  # of an answer that are read
_EXAMPLES = """\
examples:
  python -m obs_middleware health                                    the server at 127.0.0.1, port $PORT or 8000
  python -m obs_middleware health :8080                              another port
  python -m obs_middleware health http://127.0.0.1:8080/health/live  another probe
  python -m obs_middleware health shop.main:observer                 no server: run the checks of an Observer here
  python -m obs_middleware health shop.main:app --group storage      of an app's Observer, another group

in a Dockerfile:
  HEALTHCHECK --interval=10s --timeout=5s CMD ["python", "-m", "obs_middleware", "health"]

The exit code is 0 for pass and warn, 1 for fail, for no answer and for a wrong argument.
OBS_HEALTH_TOKEN, if it is set, is sent to the server, which then tells the checks too.
"""

Told = tuple[bool, list[str]]  # whether it is well, and the lines that say so


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        """End with 1, because Docker has no use for argparse's 2."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = _Parser(
        prog="python -m obs_middleware health",
        description="Ask whether a server, or an app without one, is healthy.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    given = parser.parse_args(arguments)
    try:
        is_well, lines = ask(given.target, group=given.group, timeout_seconds=given.timeout)
    except ConfigError as wrong:
        is_well, lines = False, [f"{parser.prog}: {wrong}"]
    (sys.stdout if is_well else sys.stderr).write("".join(f"{line}\n" for line in lines))
    return 0 if is_well else 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ask`."""
    parser.add_argument(
        "target", nargs="?", metavar="URL|app", help="a URL, a port such as :8080, or module:app"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="for an answer (default: 5)"
    )
    parser.add_argument(
        "--group", default=READY, metavar="NAME", help="of checks (default: ready), where no path is given"
    )


def ask(
    target: str | Health | None,
    *,
    group: str = READY,
    timeout_seconds: float = 5.0,
    env: Mapping[str, str] = os.environ,
) -> Told:
    """Ask, and return what came of it.

    Args:
        target: a URL, a port, `module:app`, or the Health of an Observer; the server of this machine unless given.

    Raises:
        ConfigError: the target names nothing that can be asked.
    """
    if target is None or isinstance(target, str):
        url = _url(target or f":{env.get('PORT') or 8000}", group, env)
        if url is not None:
            return _told_by_server(url, timeout_seconds, env.get("OBS_HEALTH_TOKEN"))
        return _told_by_checks(observer_of(str(target)).health, group, timeout_seconds)
    return _told_by_checks(target, group, timeout_seconds)


def _url(target: str, group: str, env: Mapping[str, str]) -> str | None:
    """Return the URL that is meant; None where it is an app."""
    if "://" not in target:
        host, _, port = target.rpartition(":")
        if not port.partition("/")[0].isdecimal():
            return None
        target = f"http://{host or '127.0.0.1'}:{port}"
    if urlsplit(target).path in ("", "/"):
        path = env.get("OBS_READY_PATH") or "/health/ready"
        if group != READY:
            path = f"{env.get('OBS_HEALTH_PATH') or '/health'}/{group}"
        target = target.rstrip("/") + path
    return target


def _told_by_server(url: str, timeout_seconds: float, token: str | None) -> Told:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"the target must be a URL such as http://127.0.0.1:8000, got {url}")
    headers = {"Accept": "application/health+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        with closing(kind(parts.hostname, parts.port, timeout=timeout_seconds)) as connection:
            connection.request(
                "GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers
            )
            response = connection.getresponse()
            body = response.read(_MOST_BYTES)
    except TimeoutError:
        return False, [f"fail  {url}: no answer after {timeout_seconds:g} s"]
    except ConnectionRefusedError:
        return False, [
            f"fail  {url}: refused: nobody listens there; start the server, or give its port: :8080"
        ]
    except (OSError, HTTPException, ValueError) as error:
        return False, [f"fail  {url}: {error or type(error).__name__}"]
    is_well = 200 <= response.status < 300
    content = _content(body)
    status = content.get("status") if content.get("status") in (PASS, WARN, FAIL) else PASS
    first = f"{status if is_well else FAIL}  {url}"
    if not is_well:
        first = f"{first}: status {response.status}"
    return is_well, [first, *_lines_of(content)]


def _content(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _lines_of(content: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each check of an answer, and for what else it says."""
    for note in (*content.get("notes", ()), *filter(None, (content.get("output"),))):
        yield f"      {note}"
    for name, entries in content.get("checks", {}).items():
        for entry in entries:
            yield _line(name, entry.get("status", ""), entry.get("output", ""))


def _line(name: str, status: str, output: str) -> str:
    return f"{status}  {name}{f': {output}' if output else ''}"


def _told_by_checks(health: Health, group: str, timeout_seconds: float) -> Told:
    members = health.members(group)
    if not members and group != READY:
        raise ConfigError(f"no check has the group {group!r}")
    deadline = time.monotonic() + timeout_seconds
    found = health.ask(members)
    while any(state.run is None for _, state in found) and time.monotonic() < deadline:
        time.sleep(0.02)
        found = health.ask(members)
    health.stop()
    is_well = all(state.status != FAIL for _, state in found)
    lines = [_line(check.name, state.status, state.output) for check, state in found]
    return is_well, lines or ["pass  no checks are registered"]


def _seconds(text: str) -> float:
    seconds = float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    if not seconds:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text}")
    return seconds
