"""The response's body: bytes counted, the end seen, whoever sees it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any
from weakref import ref

from obs_middleware import Exchange
from obs_wsgi.response import Response, end_closed

_NEVER: Any = object()  # no piece is this


class Body:
    """The app's response body, passed on piece by piece; the exchange ends with the last one, or when it is closed.

    A class and not a generator: the `finally` of a generator that was never begun does not run.
    """

    __slots__ = ("_body", "_exchange", "_next", "_response")

    def __init__(self, body: Iterable[bytes], response: Response) -> None:
        self._body = body
        self._next: Callable[[], bytes] | None = None
        self._exchange = response.exchange
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        with exchange:
            try:
                if self._next is None:
                    self._next = iter(self._body).__next__
                piece = self._next()
            except StopIteration:
                self._response.end()
                raise
            except BaseException as error:
                self._response.fail(error)
                raise
        if piece:  # an empty one sends nothing, not even the headers (PEP 3333)
            exchange.first_byte()
            exchange.response_bytes += len(piece)
        return piece

    def close(self) -> None:
        """Close the app's body, and end the exchange."""
        exchange = self._exchange
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                with exchange:
                    close()
        finally:
            if exchange.outcome is None:
                self._response.closed()

    def __del__(self) -> None:
        # Some bridges close nothing: asgiref's WsgiToAsgi stops at the declared length and drops the body.
        if self._exchange.outcome is None:
            self._response.closed()


class SizedBody(Body):
    """A body whose number of chunks is known: servers ask, since one piece needs no chunked encoding.

    gevent's server adds the sizes up in the middle of reading: whoever asks for the chunks again gets them uncounted.
    """

    __slots__ = ("_is_read",)

    def __init__(self, body: Iterable[bytes], response: Response) -> None:
        super().__init__(body, response)
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        if self._is_read:
            return iter(self._body)
        self._is_read = True
        return iter(self.__next__, _NEVER)

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def read(
    chunks: Sequence[bytes], exchange: Exchange, length: str | None, *, is_sized: bool = False
) -> Iterator[bytes]:
    """Return the body made of chunks that are all there: no code of the app runs, and nothing has to be current.

    Args:
        length: the response's Content-Length.
        is_sized: servers may ask for the number of chunks.
    """
    reading = _read(chunks, exchange, length)
    next(reading)  # its `finally` is to run even if the server does not read it
    return SizedChunks(chunks, reading) if is_sized else reading


def _read(chunks: Sequence[bytes], exchange: Exchange, length: str | None) -> Generator[bytes, None, None]:
    """Yield the chunks; a generator, because to resume it takes less than to call a method."""
    try:
        yield b""  # for who begins it
        for piece in chunks:
            if piece:  # an empty one sends nothing, not even the headers (PEP 3333)
                if exchange.time_to_first_byte is None:
                    exchange.first_byte()
                exchange.response_bytes += len(piece)
            yield piece
        if exchange.time_to_first_byte is None:
            exchange.first_byte()
        exchange.finish()
    finally:
        if exchange.outcome is None:
            end_closed(exchange, length)


class SizedChunks:
    """Pieces as they are read, whose number servers may ask; a second time they are read uncounted."""

    __slots__ = ("_chunks", "_is_read", "_reading", "close")

    def __init__(self, chunks: Sequence[bytes], reading: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._is_read = False
        self._reading = reading
        self.close = reading.close

    def __iter__(self) -> Iterator[bytes]:
        if self._is_read:
            return iter(self._chunks)
        self._is_read = True
        return self._reading

    def __next__(self) -> bytes:
        return next(self._reading)

    def __len__(self) -> int:
        return len(self._chunks)


def watch_file(body: Any, response: Response) -> Iterable[bytes]:
    """Return the server's own file wrapper as it is, since only that one is sent by the kernel, and hook its close().

    The same for bytes that are no list of them, which uWSGI takes.

    Its bytes are taken from Content-Length; where close() can't be hooked the exchange ends here.
    """
    exchange = response.exchange
    exchange.declare(response.length)
    exchange.sent_unseen()
    if isinstance(body, bytes):
        exchange.response_bytes = len(body) if exchange.has_body else 0
    try:
        body.close = _FileClosing(body, exchange)  # pyright: ignore[reportAttributeAccessIssue]
    except AttributeError:
        exchange.finish()
    return body  # type: ignore[no-any-return]


def watch_websocket(body: Any, response: Response) -> Iterable[bytes]:
    """Return the body of a websocket's response; where the app has taken the connection over, the very same object."""
    is_empty = isinstance(body, (list, tuple, bytes)) and not body
    if is_empty or type(body).__module__.startswith("eventlet."):  # its ALREADY_HANDLED
        response.end()
        return body  # type: ignore[no-any-return]
    return Body(body, response)  # pyright: ignore[reportArgumentType]


class _FileClosing:
    """Stand for the close() of a server's file: the exchange ends when it is called, or dropped with the file."""

    __slots__ = ("_close", "_exchange")

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self._close = _without_cycle(body, getattr(body, "close", None))
        self._exchange = exchange

    def __call__(self) -> None:
        try:
            if self._close is not None:
                self._close()
        finally:
            self._exchange.finish()

    def __del__(self) -> None:
        self._exchange.finish()


def _without_cycle(body: Any, close: Any) -> Callable[[], object] | None:
    """Return what closes a body and does not hold it, because the body is to hold what is returned.

    Else the file would stay open until the garbage collector runs.
    """
    if getattr(close, "__self__", None) is not body:
        return close  # type: ignore[no-any-return]
    try:
        method, body_ref = getattr(type(body), close.__name__), ref(body)
    except (AttributeError, TypeError):
        return close  # type: ignore[no-any-return]

    def close_body() -> None:
        there = body_ref()
        if there is not None:
            method(there)

    return close_body
