"""The probes: their codes, never cached, the same by HEAD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from obs_middleware.cli.doctor.finding import Finding, failed, passed, warned
from obs_middleware.cli.doctor.service import Answer
from obs_middleware.cli.doctor.session import Session, bearer


def check(session: Session) -> Iterator[Finding]:
    """Ask the three of them."""
    options = session.options
    for name, option, path in (
        ("liveness", "--live-path", options.live_path),
        ("readiness", "--ready-path", options.ready_path),
        ("startup", "--startup-path", options.startup_path),
    ):
        yield _probe(session, name, option, path)


def _probe(session: Session, name: str, option: str, path: str) -> Finding:
    answer = session.ops.get(path)
    if answer.status not in (200, 503):
        cure = f"{option} says where it is, --ops at which port (ops_port)"
        return failed(name, f"{path} answers {answer.status}, no probe", cure)
    if "no-store" not in answer.header("cache-control"):
        return failed(name, f"{path} may be cached", "let nothing between change Cache-Control: no-store")
    by_head = session.ops.ask("HEAD", path)
    if by_head.status not in (200, 503):
        cure = "let HEAD reach the middleware as GET does"
        return failed(name, f"HEAD {path} answers {by_head.status}, GET {answer.status}", cure)
    if answer.status == 503:
        return failed(
            name, f"{path} answers 503: {_why(session, path)}", "--health-token shows which check fails"
        )
    if content(answer).get("status") == "warn":
        return warned(
            name,
            f"{path} answers 200, degraded: {_why(session, path)}",
            "--health-token shows which check fails",
        )
    return passed(name, f"{path} answers 200 by GET and HEAD, never cached")


def content(answer: Answer) -> dict[str, Any]:
    """Return what an answer says as JSON; nothing where it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _why(session: Session, path: str) -> str:
    """Return the checks that fail, as far as the caller may see them."""
    details = content(session.ops.get(path, bearer(session.options.health_token)))
    failing = [
        f"{name} ({entry.get('output', '')})"
        for name, entries in details.get("checks", {}).items()
        for entry in entries
        if entry.get("status") != "pass"
    ]
    return ", ".join((*details.get("notes", ()), *failing)) or "no details"
