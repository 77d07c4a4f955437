"""How the tests of the endpoints ask one."""

from __future__ import annotations

from obs_middleware import Observer, Reply
from tests.core.support import request

TOKEN = "metrics-token"


def ask(own: Observer, path: str = "/metrics", method: str = "GET", **headers: str) -> Reply:
    return own.gateway.reply(request(method, path, headers=headers), path)
