"""ASGI middlewares as people write them: one does nothing, one binds two fields, one writes a JSON access line."""

from __future__ import annotations

import logging
import time
from typing import Any


class NoOp:
    """Wrap `send` and do nothing: the least that any observer of responses costs."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def passed(message: Any) -> None:
            await send(message)

        await self.app(scope, receive, passed)


class Binding:
    """Bind who asks, as most apps do; inside ours."""

    def __init__(self, app: Any) -> None:
        from obs_middleware import bind

        self.app = app
        self.bind = bind

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bind(user_id="u-12345", plan="free")
        await self.app(scope, receive, send)


class AccessLine:
    """Log one line for each request."""

    def __init__(self, app: Any, *, logger: logging.Logger) -> None:
        self.app = app
        self.logger = logger

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self._write(scope, status, time.perf_counter() - started)

    def _write(self, scope: Any, status: int, seconds: float) -> None:
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "client": (scope.get("client") or ("",))[0],
            "user_agent": agent.decode("latin-1"),
        }
        self.logger.info("%s %s %s", scope["method"], scope["path"], status, extra=fields)
