"""Take the caller's ID if it is safe to repeat everywhere, else make one that sorts by time."""

from __future__ import annotations

import os
import re
import time
from random import Random

# Safe in a header, a log line, a URL and a shell; a comma, which joins repeated headers, is not among them.
_is_safe = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}").fullmatch

_UUID7 = "%08x-%04x-7%03x-%04x-%012x"

# Of our own: an app that seeds the shared generator must neither repeat our IDs nor find its numbers changed.
_random = Random()
random_bits = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def accept(value: str | None) -> str | None:
    """Return the caller's ID when it is 1 to 128 characters of `A-Z a-z 0-9 . _ ~ : / + = @ -`, else None."""
    return value if value and len(value) <= 128 and _is_safe(value) else None


def new(now_ns: int | None = None) -> str:
    """Return a UUID of version 7: milliseconds since 1970, then 74 random bits (RFC 9562, section 5.7).

    The random bits name a request, they protect nothing: no secret may be derived from them.

    Args:
        now_ns: nanoseconds since 1970, the clock's unless given.
    """
    ms = (now_ns or time.time_ns()) // 1_000_000
    return _UUID7 % (
        ms >> 16 & 0xFFFF_FFFF,
        ms & 0xFFFF,
        random_bits(12),
        0x8000 | random_bits(14),
        random_bits(48),
    )
