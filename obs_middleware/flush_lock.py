"""The lock that one flush holds at a time, and that an exception out of a signal's handler can't leave locked."""

from __future__ import annotations

import threading
import time
from types import FrameType

_POLL_SECONDS = 0.001


class FlushLock:
    """Held by one call of `flush` at a time.

    An exception out of a signal's handler can come between any two instructions, so that no `finally` is sure to give
    a lock back. Therefore the holder's frame is kept: a holder whose frame has ended has left the lock behind, and the
    next one takes it over. `setdefault` of a dict is atomic: the lock never changes hands unseen.
    """

    def __init__(self) -> None:
        self._holder: dict[str, _Holder] = {}

    def take(self, frame: FrameType | None, *, timeout_seconds: float) -> bool:
        """Return whether the caller holds the lock now; False at once where its thread holds it already.

        Args:
            frame: of the function that gives it back; None where that is another function's part.
            timeout_seconds: how long to wait for another thread.
        """
        mine = _Holder(threading.get_ident(), frame)
        deadline = 0.0
        while (holder := self._holder.setdefault("is", mine)) is not mine:
            if holder.has_ended() and holder.is_left_to_me():
                self._holder["is"] = mine
                return True
            now = time.monotonic()
            deadline = deadline or now + timeout_seconds
            if holder.thread == mine.thread or now >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def give(self) -> None:
        """Give the lock back, for whoever holds it."""
        self._holder.pop("is", None)

    @property
    def is_held(self) -> bool:
        """Tell whether somebody holds it who has not ended."""
        holder = self._holder.get("is")
        return holder is not None and not holder.has_ended()


class _Holder:
    __slots__ = ("_frame", "_heirs", "thread")

    def __init__(self, thread: int, frame: FrameType | None) -> None:
        self.thread = thread
        self._frame = frame
        self._heirs = [True]

    def has_ended(self) -> bool:
        """Tell whether its function has returned: the frame of one that runs can't be cleared."""
        if self._frame is None:
            return False
        try:
            self._frame.clear()
        except RuntimeError:
            return False
        return True

    def is_left_to_me(self) -> bool:
        """Tell it to the first who asks alone."""
        try:
            return self._heirs.pop()
        except IndexError:
            return False
