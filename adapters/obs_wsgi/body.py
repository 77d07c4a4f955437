"""The response's body: bytes counted, the end seen, whoever sees it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from obs_middleware import Exchange

if TYPE_CHECKING:
    from obs_wsgi.response import Response


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
                exchange.first_byte()
                exchange.finish()
                raise
            except Exception as error:
                self._response.fail(error)
                raise
            except BaseException:
                exchange.is_cancelled = True
                exchange.finish(is_complete=False)
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


class SizedBody(Body):
    """A body whose number of chunks is known: servers ask, since one piece needs no chunked encoding."""

    __slots__ = ()

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
            exchange.declare(length)
            exchange.closed()


class SizedChunks:
    """Pieces as they are read, whose number servers may ask."""

    __slots__ = ("_chunks", "_reading", "close")

    def __init__(self, chunks: Sequence[bytes], reading: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._reading = reading
        self.close = reading.close

    def __iter__(self) -> Iterator[bytes]:
        return self._reading

    def __next__(self) -> bytes:
        return next(self._reading)

    def __len__(self) -> int:
        return len(self._chunks)


def watch_file(body: Any, response: Response) -> Iterable[bytes]:
    """Return the server's own file wrapper as it is, since only that one is sent by the kernel, and hook its close().

    Its bytes are taken from Content-Length; where close() can't be hooked the exchange ends here.
    """
    exchange = response.exchange
    exchange.declare(response.length)
    exchange.sent_unseen()
    close = getattr(body, "close", None)

    def closed() -> None:
        try:
            if close is not None:
                close()
        finally:
            exchange.finish()

    try:
        body.close = closed
    except AttributeError:
        exchange.finish()
    return body  # type: ignore[no-any-return]
