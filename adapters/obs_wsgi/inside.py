"""A request that has an exchange already: another of us stands around, of this adapter or of another one.

Nothing is added to the response, and nothing is counted. The outer exchange learns the route and the errors. A copy of
its environ that goes through the app again, such as a part of a batch, is no request of its own, and tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from obs_middleware import Exchange
from obs_middleware.gateway import (
    CARRIER_KEY,
    exchange_around,
    goes_again,
    note_inside,
    part_of,
    request_info,
)
from obs_wsgi.response import StartResponse
from obs_wsgi.wrapped_app import Environ, WrappedApp


def outer_exchange(environ: Environ, context_headers: tuple[str, ...]) -> Exchange | None:
    """Return the exchange of the request that an environ tells of, if there is one."""
    try:
        return exchange_around(environ, lambda: request_info(environ, context_headers))
    except Exception:
        return None


def serve_inside(
    app: Callable[..., Iterable[bytes]],
    environ: Environ,
    start_response: StartResponse,
    outer: Exchange,
    wrapped: WrappedApp,
) -> Iterable[bytes]:
    """Run the app, and tell the outer exchange what is seen of it."""
    if goes_again(environ, outer, wrapped):
        return _serve_part(app, environ, start_response, part_of(outer))
    note_inside(environ, outer)

    def start(*given: Any) -> Any:
        _tell_route(environ, outer, wrapped)
        return start_response(*given)

    try:
        return app(environ, start)
    except BaseException as error:
        outer.note_raised(error)
        _tell_route(environ, outer, wrapped, is_forgotten=not isinstance(error, Exception))
        raise


def _serve_part(
    app: Callable[..., Iterable[bytes]], environ: Environ, start_response: StartResponse, part: Exchange
) -> Iterable[bytes]:
    environ = {**environ, CARRIER_KEY: part}
    with part:
        body = app(environ, start_response)
    return body if isinstance(body, (list, tuple)) else _PartBody(body, part)


class _PartBody:
    """The body of a part, each piece made with the part being current."""

    def __init__(self, body: Iterable[bytes], part: Exchange) -> None:
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._part = part

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._part:
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            with self._part:
                close()


def _tell_route(
    environ: Environ, outer: Exchange, wrapped: WrappedApp, *, is_forgotten: bool = False
) -> None:
    route_of = wrapped.forgotten_route if is_forgotten else wrapped.route_of
    if route_of is None or outer.route is not None:
        return
    root = environ.get("SCRIPT_NAME") or ""
    try:
        route = route_of(environ)
        outer.name_route(None if route is None else route.removeprefix(root), root)
    except Exception as error:
        outer.report("route", error)
