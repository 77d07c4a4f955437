"""Reply: a response that the core makes itself; the adapter only sends it."""

from __future__ import annotations

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """A response that the core makes.

    Attributes:
        status: the status code.
        headers: by name; Content-Length is the adapter's to add.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


TEXT_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}
