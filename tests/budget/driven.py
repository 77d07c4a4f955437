"""Requests made by a client that does as little as it can, so that what is measured is the app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.conformance.front_ends import FRONT_ENDS, FrontEnd
from tests.conformance.messages import Request, environ_of, scope_of

BY_NAME = {front_end.name: front_end for front_end in FRONT_ENDS}

Block = contextlib.AbstractContextManager[Any]

# What a browser behind a proxy sends, besides the host.
_BROWSER = (
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, br"),
    (b"x-forwarded-for", b"203.0.113.7"),
)


@dataclass(frozen=True)
class Visit(Request):
    """A browser's request; one that `leaves` hangs up after the first chunk."""

    headers: tuple[tuple[bytes, bytes], ...] = _BROWSER
    leaves: bool = False


def make_all(
    front_end: FrontEnd, app: Any, visits: Iterable[Visit], *, around: Block = contextlib.nullcontext()
) -> None:
    """Make one request after the other, each call of the app inside the block `around`.

    The visits are taken one by one: a generator can look around between them.
    """
    if front_end.is_asgi:
        front_end.run(app, lambda: _make_all_async(app, visits, around))
        return
    for visit in visits:
        environ = environ_of(visit)
        with contextlib.suppress(Exception), around:
            _make(app, environ, visit)


def _make(app: Any, environ: dict[str, Any], visit: Visit) -> None:
    body = app(environ, _start_response)
    try:
        for _ in body:
            if visit.leaves:
                break
    finally:
        if hasattr(body, "close"):
            body.close()


def _start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
    return None


async def _make_all_async(app: Any, visits: Iterable[Visit], around: Block) -> None:
    for visit in visits:
        scope, client = scope_of(visit), _AsgiClient(visit)
        with contextlib.suppress(Exception), around:
            await app(scope, client.receive, client.send)


class _AsgiClient:
    """The two ends that an ASGI app gets."""

    def __init__(self, visit: Visit) -> None:
        self._leaves = visit.leaves
        self._left = asyncio.Event()
        self._messages = [{"type": "http.request", "body": visit.body, "more_body": False}]

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self._leaves and message["type"] == "http.response.body":
            self._left.set()
