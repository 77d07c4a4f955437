"""Seconds since 1970 as a line has them: RFC 3339, in UTC, to the millisecond."""

from __future__ import annotations

from datetime import datetime, timezone


class Timestamps:
    """Write timestamps, and remember the second and the millisecond written last, because most lines share them."""

    def __init__(self) -> None:
        # Both replaced as one, since threads share them.
        self._second = 0, "1970-01-01T00:00:00"
        self._millisecond = 0, "1970-01-01T00:00:00.000Z"

    def text(self, seconds: float) -> str:
        """Return seconds since 1970 as RFC 3339 has them, to the millisecond, in UTC."""
        now = round(seconds * 1e6) // 1000
        last, text = self._millisecond
        if now == last:
            return text
        last, date_and_time = self._second
        second, ms = divmod(now, 1000)
        if second != last:
            date_and_time = datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second, date_and_time
        text = f"{date_and_time}.{ms:03d}Z"
        self._millisecond = now, text
        return text
