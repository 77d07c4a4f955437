"""Time blocks and functions, whatever they are: sync, async, generators, async generators."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar, cast

from obs_middleware.wrapping import wrap

OUTCOME = "outcome"

_F = TypeVar("_F", bound=Callable[..., Any])

# Who has started, and when, in this task or thread: one Timed may be in use in many at once, and inside itself.
_started: ContextVar[tuple[tuple[object, float], ...]] = ContextVar("obs_timed", default=())


class Timed:
    """Time what is done inside it: a context manager, and a decorator.

    A generator is timed from its first value until it ends or is closed. One that is closed early is `ok`.

    Args:
        observe: is called with the outcome and the seconds.
    """

    def __init__(self, observe: Callable[[str, float], object]) -> None:
        self._observe = observe

    def __enter__(self) -> None:
        _started.set(((self, perf_counter()), *_started.get()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started = _started.get()
        place = next((place for place, (one, _) in enumerate(started) if one is self), None)
        if place is not None:
            _started.set((*started[:place], *started[place + 1 :]))
            self._observe(_outcome(error), perf_counter() - started[place][1])

    def __call__(self, function: _F) -> _F:
        """Time each call of a function, or of a static or a class method."""
        if isinstance(function, (staticmethod, classmethod)):
            return cast(_F, type(function)(self(function.__func__)))
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
