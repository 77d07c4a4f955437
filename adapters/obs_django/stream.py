"""A streaming response: bytes counted, and the exchange ended when Django closes it."""

from __future__ import annotations

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
        # Django closes what it streams.
        stream = (_AsyncStream if response.is_async else _SyncStream)(response.streaming_content, exchange)
        response.streaming_content = stream


class _Stream:
    def __init__(self, content: Any, exchange: Exchange) -> None:
        self._content: Any = content
        self._exchange = exchange

    def __del__(self) -> None:
        self._exchange.closed()  # Django closes no response whose sending has failed

    def close(self) -> None:
        """End the exchange, and let go of the content, which holds the response that holds this."""
        self._exchange.closed()
        self._content = None

    def _count(self, piece: bytes) -> bytes:
        self._exchange.response_bytes += len(piece)
        self._exchange.first_byte()
        return piece


class _SyncStream(_Stream):
    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._exchange:
            try:
                return self._count(next(self._content))
            except StopIteration:
                self._exchange.finish()
                raise
            except Exception as error:
                self._exchange.note_error(error)
                self._exchange.finish(is_complete=False)
                raise


class _AsyncStream(_Stream):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with self._exchange:
            try:
                return self._count(await anext(self._content))
            except StopAsyncIteration:
                self._exchange.finish()
                raise
            except Exception as error:
                self._exchange.note_error(error)
                self._exchange.finish(is_complete=False)  # Django closes no response whose sending has failed
                raise
            except BaseException:  # asyncio.CancelledError, which Django sends when the client has left
                self._exchange.closed()
                raise
