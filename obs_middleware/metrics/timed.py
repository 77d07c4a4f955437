"""Time blocks and functions, whatever they are: sync, async, generators, async generators."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import ContextVar
from time import perf_counter
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from obs_middleware.errors import ConfigError
from obs_middleware.wrapping import wrap

OUTCOME = "outcome"

_F = TypeVar("_F", bound=Callable[..., Any])


class _Start:
    """A block that has begun.

    Attributes:
        frame: of the function that has the block; None once it has ended, because contexts outlive it.
    """

    __slots__ = ("began", "frame", "timed")

    def __init__(self, timed: Timed, frame: FrameType) -> None:
        self.timed = timed
        self.frame: FrameType | None = frame
        self.began = perf_counter()


# The blocks that have begun in this task or thread.
_started: ContextVar[tuple[_Start, ...]] = ContextVar("obs_timed", default=())


class Timed:
    """Time what is done inside it: a context manager, sync and async, and a decorator.

    One may be in use in many tasks at once, and inside itself. A block ends in the function in which it has begun, so
    that its frame tells which one ends. Its context does not: FastAPI runs the halves of a sync dependency in two.

    A generator is timed from its first value until it ends or is closed. One that is closed early is `ok`.

    Args:
        observe: is called with the outcome and the seconds.
    """

    def __init__(self, observe: Callable[[str, float], object]) -> None:
        self._observe = observe
        self._open: dict[FrameType | None, list[_Start]] = {}

    def __enter__(self) -> None:
        self._begin(sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(sys._getframe(1), error)

    async def __aenter__(self) -> None:
        self._begin(sys._getframe(1))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(sys._getframe(1), error)

    def _begin(self, frame: FrameType) -> None:
        start = _Start(self, frame)
        self._open.setdefault(frame, []).append(start)
        _started.set((*_open_in_context(), start))

    def _end(self, frame: FrameType, error: BaseException | None) -> None:
        now = perf_counter()
        starts = self._open.get(frame) or self._begun_elsewhere()
        if starts:
            start = starts[-1]
            self._forget(start)
            self._observe(_outcome(error), now - start.began)

    def _begun_elsewhere(self) -> list[_Start]:
        """Return the blocks that the ending one may be, where one function begins and another ends them: ExitStack."""
        here = [start for start in _open_in_context() if start.timed is self]
        return here or [start for starts in list(self._open.values()) for start in starts]

    def _forget(self, start: _Start) -> None:
        frame, start.frame = start.frame, None
        with suppress(KeyError, ValueError):  # two threads end one block
            self._open[frame].remove(start)
            if not self._open[frame]:
                del self._open[frame]
        _started.set(_open_in_context())

    def __call__(self, function: _F) -> _F:
        """Time each call of a function, or of a static or a class method.

        Raises:
            ConfigError: it is none.
        """
        if isinstance(function, (staticmethod, classmethod)):
            return cast(_F, type(function)(self(function.__func__)))
        if not callable(function):
            raise ConfigError(
                f"timed must stand at a function, below @property for example, got {function!r}"
            )
        if inspect.isasyncgenfunction(function):
            timed = self._async_generator(function)
        elif inspect.isgeneratorfunction(function):
            timed = self._generator(function)
        elif inspect.iscoroutinefunction(function):
            timed = self._coroutine(function)
        else:
            timed = self._function(function)
        return cast(_F, wrap(function, timed))

    def _function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            clock = _Clock(self._observe)
            with clock:
                result = function(*args, **keywords)
                clock.goes_on = inspect.iscoroutine(result)  # of what is async and does not look it
            return clock.around(result) if clock.goes_on else result

        return call

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **keywords: Any) -> Any:
            with _Clock(self._observe):
                return await function(*args, **keywords)

        return call

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
            with _Clock(self._observe):
                return (yield from function(*args, **keywords))

        return call

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **keywords: Any) -> AsyncGenerator[Any, Any]:
            with _Clock(self._observe):
                inner = function(*args, **keywords)
                step = inner.__anext__()
                while True:
                    try:
                        value = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = inner.asend((yield value))
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:
                        step = inner.athrow(error)

        return call


class _Clock:
    """Time one call.

    Attributes:
        goes_on: what was called goes on in a coroutine, and nothing is observed yet.
    """

    __slots__ = ("_began", "_observe", "goes_on")

    def __init__(self, observe: Callable[[str, float], object]) -> None:
        self._observe = observe
        self.goes_on = False

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.goes_on:
            self._observe(_outcome(error), perf_counter() - self._began)

    async def around(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine that the call has returned, and time it too."""
        began = self._began
        self.goes_on = False
        with self:
            self._began = began
            return await coroutine


def _outcome(error: BaseException | None) -> str:
    if error is None or isinstance(error, GeneratorExit):
        return "ok"
    return "cancelled" if type(error).__name__ in ("CancelledError", "Cancelled") else "error"


def _open_in_context() -> tuple[_Start, ...]:
    return tuple([start for start in _started.get() if start.frame is not None])
