"""One page at a time, however many ask: those who ask while a page is made share the next one.

A page is begun after its scraper has asked, never before, so that no number on it is older than the question.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from obs_middleware import process

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Make things one after the other, each for all who wait for it."""

    def __init__(self) -> None:
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        """Begin with nobody at it and nobody waiting, as in a child that was forked while a page was made."""
        self._flight = Lock()
        self._lock = Lock()
        self._awaited: dict[Hashable, Future[_T]] = {}  # not begun yet

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what `make` returns, called here or by another thread that has asked for the same key.

        Raises:
            Exception: what `make` has raised; CancelledError where another thread was stopped in the middle of it.
        """
        with self._lock:
            page = self._awaited.get(key)
            is_ours = page is None
            if page is None:
                page = self._awaited[key] = Future()
        try:
            if is_ours:
                self._make(key, make, page)
            return page.result()
        finally:
            del page  # no cycle through the traceback of an error

    def _make(self, key: Hashable, make: Callable[[], _T], page: Future[_T]) -> None:
        try:
            with self._flight:
                self._begin(key, page)
                page.set_result(make())
        except Exception as error:
            page.set_exception(error)
        finally:
            self._begin(key, page)
            page.cancel()  # where neither is set
            del page

    def _begin(self, key: Hashable, page: Future[_T]) -> None:
        with self._lock:
            if self._awaited.get(key) is page:
                del self._awaited[key]


def _after_fork() -> None:
    for shared in list(_all):
        shared._begin_anew()


_all: WeakSet[SingleFlight[Any]] = WeakSet()
process.on_fork(in_child=_after_fork)
