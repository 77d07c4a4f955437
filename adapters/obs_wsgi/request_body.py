"""The request's body, counted as the app reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from obs_middleware import Exchange


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
