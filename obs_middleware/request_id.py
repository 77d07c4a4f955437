"""Take the caller's ID if it is safe to repeat everywhere, else make one that sorts by time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from random import Random

from obs_middleware import process
from obs_middleware._speedups import fast, share_layout

# UUIDs and trace IDs, as most callers send: no secret has their form, unless all are digits.
_is_plain = re.compile(
    r"(?=[0-9-]{0,35}[a-fA-F])(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32})"
).fullmatch

# Of our own: an app that seeds the shared generator must neither repeat our IDs nor find its numbers changed.
_random = Random()
random_bits = _random.getrandbits

Accept = Callable[["str | None"], "str | None"]

_DIGITS = 60  # for one exchange: 32 of a trace ID, 16 of a span ID, 12 of a request ID
_AT_ONCE = 32 if process.has_mark else 1  # those drawn before a fork would be drawn by parent and child


def acceptor(characters: str, max_length: int) -> Accept:
    """Return what takes the ID of a caller, or None in place of one that is not safe to repeat everywhere.

    Safe are ASCII letters, digits and some punctuation, for which neither a header nor a line of JSON needs an escape.
    A comma, which joins repeated headers, is not among it.

    Args:
        characters: the punctuation.
        max_length: in characters.
    """
    is_safe = re.compile(rf"[A-Za-z0-9{re.escape(characters)}]{{1,{max_length}}}").fullmatch

    def accept(value: str | None) -> str | None:
        return value if value and len(value) <= max_length and is_safe(value) else None

    return accept


def refuse(value: str | None) -> str | None:
    """Take no caller's ID."""
    return None


def is_plain(value: str) -> bool:
    """Tell whether an ID is a UUID or 32 hexadecimal digits."""
    return _is_plain(value) is not None


@share_layout
class IdSource:
    """What the IDs of a process are made of: random digits, drawn for many exchanges at once, and the process's own."""

    __slots__ = ("_drawn", "_last", "_mark", "_node")

    def __init__(self) -> None:
        self._mark = process.mark
        self._begin()
        process.on_fork(in_child=self._begin_anew)

    def _begin(self) -> None:
        self._drawn: list[str] = []
        self._node = random_bits(24)
        # A millisecond, and how an ID made in it begins; replaced as one, since threads share it.
        self._last = -1, ""

    @fast("request_id.c: request_id_draw")
    def draw(self, now_ns: int) -> tuple[str, str]:
        """Return what names an exchange that begins now: a trace and a span ID in one, 48 digits, and a request ID.

        The request ID is a UUID of version 7 (RFC 9562, section 5.7). It has milliseconds since 1970, 24 random bits of
        the process (section 6.4) and 48 of its own. The random bits name a request, they protect nothing: no secret may
        be derived from them.

        Args:
            now_ns: nanoseconds since 1970.
        """
        if not self._mark[0]:
            process.notice_fork()
        try:
            digits = self._drawn.pop()
        except IndexError:
            digits = self._draw_many()
        now = now_ns // 1_000_000
        ms, beginning = self._last
        if ms != now:
            high, low = self._node >> 12, self._node & 0xFFF
            beginning = f"{now >> 16 & 0xFFFF_FFFF:08x}-{now & 0xFFFF:04x}-7{high:03x}-8{low:03x}-"
            self._last = now, beginning
        return digits[:48], beginning + digits[48:]

    def _draw_many(self) -> str:
        """Draw the digits of many exchanges at once, which costs as much as for one, and return those of the first."""
        process.notice_fork()
        size = _DIGITS // 2  # of bytes
        first, *others = os.urandom(size * _AT_ONCE).hex(" ", size).split(" ")
        self._drawn.extend(others)
        return first

    def _begin_anew(self) -> None:
        """Give a forked child IDs of its own."""
        _random.seed()
        self._begin()


source = IdSource()
draw = source.draw


def new() -> str:
    """Return a request ID."""
    return draw(time.time_ns())[1]
