"""Decorators of views: leave a view out, or add labels to its metrics.

@app.get("/poll")
@leave_out
async def poll() -> None: ...

@app.get("/orders")
@add_labels(team="checkout")
def orders() -> None: ...

They work with functions and coroutine functions of every framework, below the decorator that adds the route. With a
class of Django use `method_decorator(leave_out, name="dispatch")`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from obs_middleware.exchange import Exchange, current_exchange
from obs_middleware.tenancy import check_label

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

    def note_on_current() -> None:
        exchange = current_exchange()
        if exchange is None:
            return
        try:
            note(exchange)
        except Exception as error:
            exchange.report("views", error)

    if inspect.iscoroutinefunction(view):

        @functools.wraps(view)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            note_on_current()
            return await view(*args, **kwargs)

        return call_async  # type: ignore[return-value]

    @functools.wraps(view)
    def call(*args: Any, **kwargs: Any) -> Any:
        note_on_current()
        return view(*args, **kwargs)

    return call  # type: ignore[return-value]
