"""Decorators of views: leave a view out, or add labels to its metrics.

@app.get("/poll")
@leave_out
async def poll() -> None: ...

@app.get("/orders")
@add_labels(team="checkout")
def orders() -> None: ...

They work with functions of every kind and of every framework, below the decorator that adds the route. With a
class of Django use `method_decorator(leave_out, name="dispatch")`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

from obs_middleware.errors import ConfigError
from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.tenancy import check_label
from obs_middleware.wrapping import wrap

_View = TypeVar("_View", bound=Callable[..., Any])


def leave_out(view: _View) -> _View:
    """Leave a view's requests out of metrics, traces and the access log."""
    return _before(view, Exchange.leave_out)


def add_labels(**labels: str) -> Callable[[_View], _View]:
    """Add labels to the HTTP metrics of a view's requests.

    Raises:
        ConfigError: a name is no label's name.
    """
    for name in labels:
        check_label(name, "a label of add_labels")
    return lambda view: _before(view, lambda exchange: exchange.add_labels(**labels))


def _before(view: _View, note: Callable[[Exchange], object]) -> _View:
    """Return the view, with something noted on the current exchange before it runs."""
    if inspect.isclass(view):
        raise ConfigError(
            f"leave_out and add_labels take functions, got the class {view.__qualname__}: decorate its methods, "
            'in Django by method_decorator(leave_out, name="dispatch")'
        )
    function: Any = view
    return wrap(function, _way(function, functools.partial(_note, note)))  # type: ignore[return-value]


def _way(view: Callable[..., Any], note: Callable[[], None]) -> Callable[..., Any]:
    """Return a function of the same kind that notes and then calls the view."""
    if inspect.iscoroutinefunction(view):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            note()
            return await view(*args, **kwargs)

        return call_async
    if inspect.isasyncgenfunction(view):

        async def iterate_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            note()
            async with aclosing(view(*args, **kwargs)) as items:
                async for item in items:
                    yield item

        return iterate_async
    if inspect.isgeneratorfunction(view):

        def iterate(*args: Any, **kwargs: Any) -> Iterator[Any]:
            note()
            yield from view(*args, **kwargs)

        return iterate

    def call(*args: Any, **kwargs: Any) -> Any:
        note()
        return view(*args, **kwargs)

    return call


def _note(note: Callable[[Exchange], object]) -> None:
    exchange = current_exchange()
    if exchange is None:
        return
    try:
        note(exchange)
    except Exception as error:
        exchange.report("views", error)
