"""Both bodies of an exchange: bytes counted, the end seen, whoever sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from obs_middleware import Exchange


class Body:
    """The app's response body, passed on piece by piece; the exchange ends with the last one, or when it is closed.

    A class and not a generator: the `finally` of a generator that was never begun does not run.
    """

    __slots__ = ("_body", "_exchange", "_fail", "_next")

    def __init__(self, body: Iterable[bytes], exchange: Exchange, fail: Callable[[Exception], None]) -> None:
        self._body = body
        self._next: Callable[[], bytes] | None = None
        self._exchange = exchange
        self._fail = fail

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
                self._fail(error)
                raise
            except BaseException:
                exchange.is_cancelled = True
                exchange.finish(is_complete=False)
                raise
        if piece:  # an empty one sends nothing, not even the headers (PEP 3333)
            exchange.first_byte()
            exchange.response_bytes += len(piece) if exchange.has_body else 0
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
                exchange.closed()


class SizedBody(Body):
    """A body whose number of pieces is known: servers ask, since one piece needs no chunked encoding."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


class Pieces:
    """A body of pieces that are all there: no code of the app runs, and nothing has to be current (3 µs less)."""

    __slots__ = ("_exchange", "_next", "_pieces")

    def __init__(self, pieces: Sequence[bytes], exchange: Exchange) -> None:
        self._pieces = pieces
        self._next = iter(pieces).__next__
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        try:
            piece = self._next()
        except StopIteration:
            if exchange.time_to_first_byte is None:
                exchange.first_byte()
            exchange.finish()
            raise
        if piece:
            if exchange.time_to_first_byte is None:
                exchange.first_byte()
            exchange.response_bytes += len(piece) if exchange.has_body else 0
        return piece

    def close(self) -> None:
        """End the exchange, unless it has ended with the last piece."""
        if self._exchange.outcome is None:
            self._exchange.closed()


class SizedPieces(Pieces):
    """A list or a tuple of the app's own, whose length servers may ask."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._pieces)


class CountedInput:
    """The request's body, counted as the app reads it."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def read(self, *size: int) -> bytes:
        return self._counted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._counted(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._counted, self._stream)

    def __next__(self) -> bytes:
        return self._counted(next(self._stream))

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._stream, name)
        if name == "read1":
            return lambda *size: self._counted(attribute(*size))
        return self._filling(attribute) if name in ("readinto", "readinto1") else attribute

    def _filling(self, read: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
        def counted(buffer: Any) -> int | None:
            size = read(buffer)
            self._exchange.request_bytes += size or 0
            return size

        return counted

    def _counted(self, data: bytes) -> bytes:
        self._exchange.request_bytes += len(data)
        return data


def watch_file(body: Any, exchange: Exchange) -> Iterable[bytes]:
    """Return the server's own file wrapper as it is, since only that one is sent by the kernel, and hook its close().

    Its bytes are taken from Content-Length; where close() can't be hooked the exchange ends here.
    """
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
