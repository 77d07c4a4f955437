"""SIGTERM waits while the service drains, and then goes on to whoever has handled it before.

A handler of ours stands before the server's. It notes the signal, and a thread raises it again when the drain is over:
then the server's handler gets it. The loops of asyncio and uvloop are told of signals by a file descriptor too
(`signal.set_wakeup_fd`). There stands ours as well, and hands on all but a SIGTERM that waits.

The main thread alone may set a handler, and a server may call the app in other threads only. So the main thread gets
a doorbell: a handler of SIGURG, which the kernel sends to nobody who has not asked for it. Servers set their handlers
when they start. So ours is set at the end of a lifespan's startup, at the first requests, and with each probe.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from types import BuiltinFunctionType
from typing import Any, Protocol
from weakref import WeakSet

from obs_middleware import process
from obs_middleware.deadline import STOP_SECONDS, Deadline

# The handlers of asyncio and uvloop. The first does nothing, because the loop reads the numbers of signals. The second
# notes the number itself: the loop has only to be woken, and would handle a number that comes later once more.
_ASYNCIO, _UVLOOP = "_sighandler_noop", "__sighandler"
_LAST_SECONDS = 0.05  # between two flushes while the server ends
_WAKE = b"\0"  # is no signal, and wakes a loop
# These handle signals in C, and no handler of Python's would run. Windows sends no process a SIGTERM.
_IN_C = ("uwsgi", "mod_wsgi")
_is_supported = hasattr(signal, "pthread_kill") and not any(name in sys.modules for name in _IN_C)


class Drained(Protocol):
    """What drains before the process ends; all but `serves` and `drain_until` are called in a thread.

    `serves` is False in a process that has only imported an app: it ends at once. `drain_until` begins the drain in a
    signal's handler, and returns its end by time.monotonic. `tell` lets others know of it. `hand_over` writes and sends
    all that waits, because the process ends by the signal itself. `flush` does it in passing, metrics too if
    `is_export`. `flush_each` has it done whenever a request ends. `has_requests` tells whether any is under way.
    """

    @property
    def serves(self) -> bool: ...
    def has_requests(self) -> bool: ...
    def drain_until(self) -> float: ...
    def tell(self) -> None: ...
    def hand_over(self) -> None: ...
    def flush(self, *, is_export: bool) -> None: ...
    def flush_each(self) -> None: ...


class Sigterm:
    """What stands before the handlers of SIGTERM in this process."""

    def __init__(self) -> None:
        self._drained: WeakSet[Drained] = WeakSet()
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._begin_anew()
        process.on_fork(in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Begin without a thread, in a forked child, where a handler that is there already hands on at once."""
        if self._bell is not None:
            with suppress(ValueError):
                if (found := signal.set_wakeup_fd(-1)) not in (-1, self._bell[1].fileno()):
                    signal.set_wakeup_fd(found)  # somebody else's
            for end in self._bell:
                end.close()
            if self._loop is not None:
                os.close(self._loop)
        self._bell = None
        self._thread: threading.Thread | None = None
        self._loop: int | None = None  # the file descriptor by which the loop learns of signals
        self._reads_numbers = True
        self._end: float | None = None  # of the drain that is under way
        self._seconds = 0.0  # that it takes
        self._goes_on = False
        self._starting = threading.Lock()

    def prepare(self) -> None:
        """Give the main thread its doorbell, where nobody else handles SIGURG."""
        if _is_supported and _is_main_thread() and signal.getsignal(signal.SIGURG) == signal.SIG_DFL:
            signal.signal(signal.SIGURG, self._answer_doorbell)

    def hold_for(self, one: Drained) -> None:
        """Let SIGTERM wait for one that serves; called again, because a server may have set its handler meanwhile."""
        if not _is_supported:
            return
        self._drained.add(one)
        if self._goes_on:  # the process has gone on serving
            self._goes_on, self._end = False, None
        with self._starting:
            if self._thread is None:
                self._start()
        if self._thread is None:  # none is to be had: the server's handler stays alone
            return
        if _is_main_thread():
            self._stand_before()
        elif not isinstance(signal.getsignal(signal.SIGTERM), _Handler) and self._has_doorbell():
            _send(signal.SIGURG)

    def _has_doorbell(self) -> bool:
        return signal.getsignal(signal.SIGURG) == self._answer_doorbell

    def _answer_doorbell(self, *_: object) -> None:
        if self._thread is not None:
            self._stand_before()

    def _stand_before(self) -> None:
        before: Any = signal.getsignal(signal.SIGTERM)
        if before is None or before == signal.SIG_IGN:  # handled in C, or not at all
            return
        if not isinstance(before, _Handler):
            before = _Handler(self, before)
            signal.signal(signal.SIGTERM, before)
        if before.name.endswith((_ASYNCIO, _UVLOOP)):
            self._reads_numbers = before.name == _ASYNCIO
            self._stand_before_loop()

    def _stand_before_loop(self) -> None:
        if self._bell is None:
            return
        own = self._bell[1].fileno()
        theirs = signal.set_wakeup_fd(own, warn_on_full_buffer=False)
        if theirs not in (-1, own):
            if self._loop is not None:
                os.close(self._loop)
            self._loop = os.dup(theirs)  # a number of our own, which no other file gets when theirs is closed

    def _start(self) -> None:
        bell = socket.socketpair()
        bell[1].setblocking(False)
        thread = threading.Thread(target=self._work, args=(bell[0],), name="obs-sigterm", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            for end in bell:
                end.close()
            return
        self._bell, self._thread = bell, thread

    def handle(self, handler: _Handler, number: int, frame: Any) -> None:
        """Let a signal wait, or hand it on; called as a handler."""
        serving = [one for one in self._drained if one.serves]
        if self._goes_on or self._bell is None or not serving:
            handler.hand_on(number, frame)
        elif self._end is None:  # a second signal, as a whole group of processes gets it, shortens nothing
            self._end = max(one.drain_until() for one in serving)
            self._seconds = self._end - monotonic()
            with suppress(OSError):
                os.write(self._bell[1].fileno(), _WAKE)

    def _work(self, bell: socket.socket) -> None:
        """Hand on to the loop what it is to learn, and let a signal go on when the drain is over."""
        has_called = False
        while True:
            end = self._end
            if end is not None and not self._goes_on:
                if not has_called:
                    has_called = True
                    _in_thread(partial(self._call, "tell"))  # a listener may hang, and SIGTERM must go on
                if monotonic() >= end:
                    has_called = False
                    self._let_go_on()
                    end = None
            bell.settimeout(None if end is None or self._goes_on else max(0.001, end - monotonic()))
            with suppress(socket.timeout):  # another class than TimeoutError before Python 3.10
                numbers = bell.recv(64)
                if not numbers:  # the other end is closed
                    return
                self._forward(numbers)

    def _forward(self, numbers: bytes) -> None:
        if self._loop is not None:
            if not self._reads_numbers:
                numbers = _WAKE
            elif not self._goes_on:
                numbers = numbers.replace(bytes([signal.SIGTERM]), _WAKE)
            with suppress(OSError):
                os.write(self._loop, numbers)

    def _let_go_on(self) -> None:
        handler = signal.getsignal(signal.SIGTERM)
        ends = isinstance(handler, _Handler) and handler.before == signal.SIG_DFL
        if isinstance(handler, _Handler) and (ends or handler.is_abrupt):
            self._wait_for_requests()
        if ends:
            _last.within(STOP_SECONDS + 1, partial(self._call, "hand_over"))  # a listener may hang
        else:
            self._call("flush_each")  # uvicorn raises the signal again at last, so that no exit handler runs
            self._call("flush", is_export=True)
        self._goes_on = True
        _send(signal.SIGTERM)
        _in_thread(self._flush_until_the_end)

    def _wait_for_requests(self) -> None:
        """Let requests end that are under way, because nobody else does; as long again as the drain at most."""
        end = monotonic() + self._seconds
        with suppress(Exception):  # the signal must go on
            while monotonic() < end and any(one.has_requests() for one in list(self._drained) if one.serves):
                sleep(_LAST_SECONDS)
        sleep(_LAST_SECONDS)  # the server sends the last bytes of the response

    def _flush_until_the_end(self) -> None:
        """Send spans that end after their request."""
        while self._goes_on:
            sleep(_LAST_SECONDS)
            self._call("flush", is_export=False)

    def _call(self, name: str, **arguments: bool) -> None:
        for one in list(self._drained):
            if one.serves:
                with suppress(BaseException):
                    getattr(one, name)(**arguments)


class _Handler:
    """Ours of SIGTERM.

    Attributes:
        before: the one that was there before, which gets the signal in the end.
        name: of its function.
        is_abrupt: it ends the process whatever is under way: twisted's, which daphne has.
    """

    def __init__(self, holder: Sigterm, before: Any) -> None:
        self._holder = holder
        self.before = before
        self.name = str(getattr(before, "__name__", ""))
        self.is_abrupt = str(getattr(before, "__module__", "")).startswith("twisted.")

    def __call__(self, number: int, frame: Any) -> None:
        self._holder.handle(self, number, frame)

    def hand_on(self, number: int, frame: Any) -> None:
        """Do as if this handler were not there."""
        if callable(self.before):
            self.before(number, frame)
        else:
            signal.signal(number, self.before)
            _send(number)


def _in_thread(function: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # none is to be had
        threading.Thread(target=function, name="obs-last", daemon=True).start()


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _send(number: int) -> None:
    """Send the main thread a signal, which wakes it from whatever it waits for.

    gevent and eventlet give threads other numbers. They run all in one, which gets what the process is sent.
    """
    if isinstance(threading.get_ident, BuiltinFunctionType):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        os.kill(os.getpid(), number)


_last = Deadline()  # of its own: whether it was missed says nothing of the end
sigterm = Sigterm()
