"""Names that anybody may make up, of which metrics tell the first so many apart, so that series stay bounded."""

from __future__ import annotations

from obs_middleware.fork_lock import ForkLock


class FirstNames:
    """The names that are told apart.

    Args:
        limit: how many they may be.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: set[str] = set()
        self._adding = ForkLock()

    def has(self, name: str) -> bool:
        """Tell whether a name is told apart; a new one is, as long as there is room."""
        with self._adding:
            if len(self._names) < self._limit:
                self._names.add(name)
            return name in self._names
