"""Where a person says that an app runs: `:8000`, `localhost:8000`, or a URL with the app's prefix."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from obs_middleware.errors import ConfigError


class Address(NamedTuple):
    """Where an app runs; `prefix` stands before its paths."""

    scheme: str
    host: str
    port: int
    prefix: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse(text: str) -> Address:
    """Return the address that is meant.

    Raises:
        ConfigError: it is none.
    """
    url = text if "://" in text else f"http://{'127.0.0.1' if text.startswith(':') else ''}{text}"
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        raise _wrong(text) from None
    has_port_or_scheme = "://" in text or parts.port is not None
    if not parts.hostname or not has_port_or_scheme or parts.query or parts.fragment or parts.username:
        raise _wrong(text)
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def _wrong(text: str) -> ConfigError:
    return ConfigError(
        f"the address must be :8000, localhost:8000 or a URL such as https://shop.example.org/api, got {text!r}"
    )
