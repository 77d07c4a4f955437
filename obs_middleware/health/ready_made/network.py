"""What a network offers: a port that listens, an HTTP answer, a name, a certificate. No connection is kept."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from obs_middleware.errors import ConfigError
from obs_middleware.health.ready_check import ReadyCheck, graded
from obs_middleware.health.result import Result

_DAY = 86400.0


def tcp_port(host: str, port: int) -> ReadyCheck:
    """Check that a port accepts a connection, which is closed at once."""
    return _TcpPort(host, port)


def http_url(url: str, *, method: str = "GET") -> ReadyCheck:
    """Check that a URL answers with a status of 200 to 399; redirects are not followed.

    Args:
        url: with http or https.
        method: of the request.

    Raises:
        ConfigError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"http_url wants a URL with http or https, got {url!r}")
    return _HttpUrl(url, method)


def dns_name(name: str) -> ReadyCheck:
    """Check that a name is resolved; the resolver has time limits of its own, in /etc/resolv.conf."""
    return _DnsName(name)


def certificate_expiry(
    host: str,
    port: int = 443,
    *,
    warn_below_days: float = 21,
    fail_below_days: float = 2,
    cafile: str | None = None,
) -> ReadyCheck:
    """Check for how long a server's certificate is valid; one that is not trusted fails.

    Args:
        host: the server, and the name in its certificate.
        port: of TLS.
        warn_below_days: less than this degrades readiness.
        fail_below_days: less than this fails.
        cafile: who is trusted, as a file; without it the system's.
    """
    return _CertificateExpiry(host, port, warn_below_days, fail_below_days, cafile)


class _TcpPort(ReadyCheck):
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def __call__(self) -> None:
        socket.create_connection(self._address, timeout=self.timeout_seconds).close()


class _HttpUrl(ReadyCheck):
    def __init__(self, url: str, method: str) -> None:
        from http import client

        parts = urlsplit(url)
        self._connect: Any = client.HTTPSConnection if parts.scheme == "https" else client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._method = method
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def __call__(self) -> Result:
        began = time.monotonic()
        connection = self._connect(self._host, self._port, timeout=self.timeout_seconds)
        try:
            connection.request(self._method, self._target, headers={"User-Agent": "obs-middleware"})
            status = connection.getresponse().status
        finally:
            connection.close()
        milliseconds = round((time.monotonic() - began) * 1000, 3)
        fails = not 200 <= status < 400
        return graded(milliseconds, "ms", f"a response of status {status}", warns=False, fails=fails)


class _DnsName(ReadyCheck):
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self) -> Result:
        found = socket.getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
        return Result(observed_value=len({address[0] for *_, address in found}), observed_unit="addresses")


class _CertificateExpiry(ReadyCheck):
    def __init__(
        self, host: str, port: int, warn_below: float, fail_below: float, cafile: str | None
    ) -> None:
        import ssl

        self._host, self._port = host, port
        self._warn_below, self._fail_below = warn_below, fail_below
        self._context = ssl.create_default_context(cafile=cafile)
        self._seconds_of = ssl.cert_time_to_seconds

    def __call__(self) -> Result:
        address = self._host, self._port
        with (
            socket.create_connection(address, timeout=self.timeout_seconds) as plain,
            self._context.wrap_socket(plain, server_hostname=self._host) as secure,
        ):
            certificate: Any = secure.getpeercert()
        days = round((self._seconds_of(certificate["notAfter"]) - time.time()) / _DAY, 2)
        output = f"the certificate expires in {days:g} days"
        return graded(days, "days", output, warns=days < self._warn_below, fails=days < self._fail_below)
