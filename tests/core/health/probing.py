"""How the tests of health ask: a probe with and without a token, and a check that fails."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from obs_middleware import Observer, Reply
from tests.core.support import eventually, request

SECRET = "hunter2x"


TOKEN = "health-token"
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += seconds


def probe(own: Observer, name: str = "ready", **headers: str) -> tuple[int, dict[str, Any]]:
    reply = ask(own, name, **headers)
    assert reply.headers["Content-Type"] == "application/health+json"
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.status, json.loads(reply.body)


def ask(own: Observer, name: str, **headers: str) -> Reply:
    path = f"/health/{name}"
    return own.gateway.reply(request(path=path, headers=headers), path)


def detail(own: Observer, name: str = "database") -> dict[str, Any]:
    (found,) = probe(own, **BEARER)[1]["checks"][name]
    return dict(found)


def answered(own: Observer, name: str = "database") -> dict[str, Any]:
    """Return the details of a check once it has answered."""
    eventually(lambda: detail(own, name).get("output") != "no answer yet")
    return detail(own, name)


def settled(own: Observer, count: int, runs: list[Any]) -> None:
    """Ask until the check has run so often and has answered."""
    eventually(lambda: (ask(own, "ready"), len(runs) >= count)[1])


def does_child(is_true: Callable[[], object]) -> bool:
    """Fork; tell whether something comes to hold in the child, which ends then."""
    child = os.fork()
    if child == 0:
        status, deadline = 1, time.monotonic() + 60
        try:
            while status and time.monotonic() < deadline:
                status = 0 if is_true() else 1
                time.sleep(0.02)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def fail() -> None:
    raise ConnectionError(f"postgres://app:{SECRET}@db refused jane@example.org")
