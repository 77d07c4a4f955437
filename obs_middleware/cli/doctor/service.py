"""Service: the app as a client sees it; it keeps all answers, in which a secret is looked for at the end."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple

from obs_middleware.cli.doctor.address import Address
from obs_middleware.errors import ConfigError

_MOST_BYTES = 50_000_000
_AT_ONCE = 2**16


class NoAnswer(Exception):
    """Nobody has answered."""


class Answer(NamedTuple):
    """What came back."""

    asked: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """Return the first value of a header; empty where there is none."""
        return next(iter(self.all(name)), "")


class Service:
    """An app at an address.

    Attributes:
        answers: all that came back, in order.
    """

    def __init__(self, address: Address, *, timeout_seconds: float, is_verified: bool = True) -> None:
        self.address = address
        self.answers: list[Answer] = []
        self._timeout_seconds = timeout_seconds
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        if self._tls is not None and not is_verified:
            self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask by GET."""
        return self.ask("GET", path, headers)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask, follow no redirect, and keep the answer.

        Raises:
            NoAnswer: nobody listens, the answer takes too long, or it is no HTTP.
            ConfigError: HTTP has no way to send what is asked.
        """
        try:
            with closing(self._connection()) as connection:
                sent = {"Accept": "*/*", "User-Agent": "obs-middleware-doctor", **(headers or {})}
                connection.request(method, self.address.prefix + path, headers=sent)
                response = connection.getresponse()
                body = self._read(response)
        except TimeoutError:
            raise NoAnswer(f"no answer to {method} {path} after {self._timeout_seconds:g} s") from None
        except (OSError, HTTPException) as error:
            raise NoAnswer(f"{method} {path}: {error or type(error).__name__}") from error
        except ValueError as error:  # of http.client: a path that is not ASCII, a header with a line's end
            raise ConfigError(f"{method} {path!r} can't be sent: {error}; give it as HTTP has it") from None
        answer = Answer(f"{method} {path}", response.status, tuple(response.getheaders()), body)
        self.answers.append(answer)
        return answer

    def _read(self, response: HTTPResponse) -> bytes:
        """Read the body; a server that sends it a byte at a time gets no more time than others."""
        until, parts, size = time.monotonic() + self._timeout_seconds, list[bytes](), 0
        while size < _MOST_BYTES and (part := response.read1(_AT_ONCE)):
            if time.monotonic() > until:
                raise TimeoutError
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _connection(self) -> HTTPConnection:
        address = self.address
        if self._tls is None:
            return HTTPConnection(address.host, address.port, timeout=self._timeout_seconds)
        return HTTPSConnection(address.host, address.port, timeout=self._timeout_seconds, context=self._tls)
