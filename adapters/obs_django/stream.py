"""A streaming response: bytes counted, and the exchange ended when Django closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http import StreamingHttpResponse

from obs_middleware import Exchange


def watch(response: StreamingHttpResponse, exchange: Exchange, *, is_sent_by_kernel: bool) -> None:
    """Count what a streaming response sends and end the exchange with it.

    Args:
        is_sent_by_kernel: the server offers `wsgi.file_wrapper`; a FileResponse's file then stays as it is, and its
            bytes are those of Content-Length.
    """
    if is_sent_by_kernel and getattr(response, "file_to_stream", None) is not None:
        exchange.sent_unseen()
        response._resource_closers.append(exchange.closed)
    else:
        # `streaming_content` would hold the response, which holds this stream. Such a cycle would keep a response that
        # nobody closes until the garbage collector runs; WsgiToAsgi closes none.
        content = getattr(response, "_iterator", None)
        if content is None:
            content = response.streaming_content
        stream = _AsyncStream if response.is_async else _SyncStream
        response.streaming_content = stream(
            content, exchange, response.charset
        )  # Django closes what it streams


class _Stream:
    def __init__(self, content: Any, exchange: Exchange, charset: str) -> None:
        self._content: Any = content
        self._exchange = exchange
        self._charset = charset

    def __del__(self) -> None:
        self._exchange.closed()  # Django closes no response whose sending has failed

    def close(self) -> None:
        """End the exchange, and let go of the content, which holds the response that holds this."""
        self._exchange.closed()
        self._content = None

    def _count(self, piece: Any) -> Any:
        self._exchange.response_bytes += len(piece) if isinstance(piece, bytes) else self._size(piece)
        self._exchange.first_byte()
        return piece

    def _size(self, piece: Any) -> int:
        """Return how many bytes Django makes of a piece that is none (`HttpResponseBase.make_bytes`)."""
        if isinstance(piece, (bytearray, memoryview)):
            return len(bytes(piece))
        return len(str(piece).encode(self._charset, "replace"))

    def _fail(self, error: BaseException) -> None:
        self._exchange.note_raised(error)
        self._exchange.finish(is_complete=False)  # Django closes no response whose sending has failed


class _SyncStream(_Stream):
    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._exchange:
            try:
                return self._count(next(self._content))
            except StopIteration:
                self._exchange.finish()
                raise
            except BaseException as error:
                self._fail(error)
                raise


class _AsyncStream(_Stream):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        with self._exchange:
            try:
                return self._count(await anext(self._content))
            except StopAsyncIteration:
                self._exchange.finish()
                raise
            except asyncio.CancelledError:  # which Django sends when the client has left
                self._exchange.closed()
                raise
            except BaseException as error:
                self._fail(error)
                raise
