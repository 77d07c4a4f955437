"""Refused callers: each is a security event, and who guesses tokens has to wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import blake2b
from os import urandom
from time import monotonic
from typing import TYPE_CHECKING

from obs_middleware.proxies import address_of

if TYPE_CHECKING:
    from obs_middleware.proxies import Proxies
    from obs_middleware.request import RequestInfo

_GUESSES = 10  # of one client within the time below
_WITHIN_SECONDS = 60
_PLACES = 4096  # where clients are counted: they bound memory, and the guesses of all clients together
_HOST_BITS = 64  # of IPv6: one household has them all
_logger = logging.getLogger("obs.security")


class Refusals:
    """Note refusals, and count the wrong tokens of each client.

    Args:
        proxies: tell whose request it is.
        count: is called with the reason of each refusal.
        redacted: returns a client's address as it may be shown.
    """

    def __init__(
        self, proxies: Proxies, *, count: Callable[[str], None], redacted: Callable[[str], str | None]
    ) -> None:
        self._proxies = proxies
        self.count = count
        self._redacted = redacted
        self._secret = urandom(16)  # so that nobody can choose with whom he shares a place
        self._guesses: dict[int, tuple[float, int]] = {}  # by place: the end of the time, and how many

    def seconds_to_wait(self, info: RequestInfo) -> int:
        """Return how long a client has to wait before its tokens are looked at; 0: they are."""
        until, guesses = self._guesses.get(self._place(info), (0.0, 0))
        rest = until - monotonic()
        return int(rest) + 1 if guesses >= _GUESSES and rest > 0 else 0

    def note(self, info: RequestInfo, path: str, reason: str, why: str, *, is_guess: bool) -> None:
        """Count a refusal and log it; a wrong token counts against its client.

        Args:
            reason: one of few words.
            why: names the setting.
        """
        self.count(reason)
        if is_guess:
            self._add(self._place(info))
        client = self._proxies.client(info)
        address = None if client is None else self._redacted(client)
        _logger.warning(
            "obs-middleware: refused %s to %s (%s): %s",
            path,
            address or "a client",
            reason,
            why,
            extra={"event_name": "access_refused", "event_reason": reason},
        )

    def _add(self, place: int) -> None:
        now = monotonic()
        until, guesses = self._guesses.get(place, (0.0, 0))
        if until <= now:
            until, guesses = now + _WITHIN_SECONDS, 0
        # Without a lock, which a forked child might find taken: two threads may count one guess together.
        self._guesses[place] = until, guesses + 1

    def _place(self, info: RequestInfo) -> int:
        client = self._proxies.client(info) or ""
        address = address_of(client)
        if address is not None:
            client = str(int(address) >> _HOST_BITS) if address.version == 6 else str(address)
        digest = blake2b(client.encode(errors="backslashreplace"), key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest, "big") % _PLACES
