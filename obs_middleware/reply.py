"""Reply: a response that the core makes itself; the adapter only sends it."""

from __future__ import annotations

import re

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


_number = re.compile(r"[1-9]\d\d(?!\d)")


def status_number(status: object) -> int | None:
    """Return the number of a status that is not as the protocol wants it; None where there is none."""
    if isinstance(status, int):  # http.HTTPStatus
        return int(status)
    text = status.decode("latin-1") if isinstance(status, bytes) else str(status)
    found = _number.search(text)
    return None if found is None else int(found.group())


TEXT_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}
