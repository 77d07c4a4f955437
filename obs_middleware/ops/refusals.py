"""Refused callers: each is a security event, and who guesses tokens has to wait."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from obs_middleware.proxies import address_of

if TYPE_CHECKING:
    from obs_middleware.proxies import Proxies
    from obs_middleware.request import RequestInfo

_GUESSES = 10  # of one client within the time below
_WITHIN_SECONDS = 60
_CLIENTS = 1024  # that are remembered
_HOST_BITS = 64  # of IPv6: one household has them all
_logger = logging.getLogger("obs.security")


class Refusals:
    """Note refusals, and count the wrong tokens of each client.

    Args:
        proxies: tell whose request it is.
        count: is called with the reason of each refusal.
        shown: returns a client's address as it may be shown.
    """

    def __init__(
        self, proxies: Proxies, *, count: Callable[[str], None], shown: Callable[[str], str | None]
    ) -> None:
        self._proxies = proxies
        self.count = count
        self._shown = shown
        self._guesses: OrderedDict[str, tuple[float, int]] = (
            OrderedDict()
        )  # the end of the time, and how many
        self._lock = Lock()

    def seconds_to_wait(self, info: RequestInfo) -> int:
        """Return how long a client has to wait before its tokens are looked at; 0: they are."""
        until, guesses = self._guesses.get(self._key(info), (0.0, 0))
        return max(0, int(until - monotonic()) + 1) if guesses >= _GUESSES and until > monotonic() else 0

    def note(self, info: RequestInfo, path: str, reason: str, why: str, *, is_guess: bool) -> None:
        """Count a refusal and log it; a wrong token counts against its client.

        Args:
            reason: one of few words.
            why: names the setting.
        """
        self.count(reason)
        if is_guess:
            self._add(self._key(info))
        client = self._proxies.client(info)
        address = None if client is None else self._shown(client)
        _logger.warning(
            "obs-middleware: refused %s to %s (%s): %s",
            path,
            address or "a client",
            reason,
            why,
            extra={"event_name": "access_refused", "event_reason": reason},
        )

    def _add(self, key: str) -> None:
        now = monotonic()
        with self._lock:
            until, guesses = self._guesses.pop(key, (0.0, 0))
            if until <= now:
                until, guesses = now + _WITHIN_SECONDS, 0
            self._guesses[key] = until, guesses + 1
            if len(self._guesses) > _CLIENTS:
                self._guesses.popitem(last=False)

    def _key(self, info: RequestInfo) -> str:
        client = self._proxies.client(info) or ""
        address = address_of(client)
        if address is None:
            return client
        return str(int(address) >> _HOST_BITS) if address.version == 6 else str(address)
