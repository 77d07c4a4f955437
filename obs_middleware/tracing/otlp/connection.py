"""Where spans are sent by OTLP over HTTP, and the connection to it: Python's own client, 5 MB less than requests.

Configured by the variables of https://opentelemetry.io/docs/specs/otel/protocol/exporter/, as the SDK's own exporter
reads them. What only that one can do (proxies, credentials of `.netrc` or a plug-in, its own metrics) is left to it.
"""

from __future__ import annotations

import os
import time
import zlib
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry.util.re import parse_env_headers

from obs_middleware.settings import otel
from obs_middleware.tracing.attributes import VERSION

FAILURES = (OSError, HTTPException)  # of the connection: worth another try

_SECONDS = "10"  # where OTEL_EXPORTER_OTLP_TIMEOUT is unset
_COMPRESSIONS = {"none": 0, "gzip": 31, "deflate": 15}  # zlib's `wbits`
_ANSWER = 64 * 1024
_OF_REQUESTS = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
)
_NETRC = ("~/.netrc", "~/_netrc")


class Target(NamedTuple):
    """What the variables say.

    Args:
        path: with the query.
        wbits: zlib's word for the compression, 0 for none.
        roots: a file or folder of certificates to trust, those of certifi or else the system's if empty.
        certificate: the client's, for mutual TLS; `key` may be in the same file.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    headers: dict[str, str]
    seconds: float
    wbits: int
    roots: str
    certificate: str
    key: str

    def __str__(self) -> str:
        """Return the URL, without its query, which may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path.partition('?')[0]}"


class Answer(NamedTuple):
    """A response, its body cut at 64 KiB."""

    status: int
    reason: str
    retry_after: str | None
    body: bytes


def target(endpoint: str | None = None) -> Target | None:
    """Return where to send spans to; None where only the SDK's own exporter can.

    Args:
        endpoint: the whole URL, that of the variables unless given.
    """
    try:
        url = urlsplit(endpoint or _endpoint())
        port, seconds = url.port, otel.seconds(_variable("TIMEOUT") or _SECONDS)
    except ValueError:
        return None
    compression = (_variable("COMPRESSION") or "none").strip().lower()
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.username is not None
        or compression not in _COMPRESSIONS
        or _needs_requests(url.scheme, url.hostname)
    ):
        return None
    headers = {
        "content-type": "application/x-protobuf",
        "user-agent": f"obs-middleware-OTLP-Exporter-Python/{VERSION}",
    }
    if compression != "none":
        headers["content-encoding"] = compression
    return Target(
        url.scheme,
        url.hostname,
        port,
        (url.path or "/") + (f"?{url.query}" if url.query else ""),
        {**headers, **parse_env_headers(_variable("HEADERS"), liberal=True)},
        seconds,
        _COMPRESSIONS[compression],
        _variable("CERTIFICATE")
        or os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE", ""),
        _variable("CLIENT_CERTIFICATE"),
        _variable("CLIENT_KEY"),
    )


class Connection:
    """A connection to the collector that is kept from one batch to the next."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http: HTTPConnection | None = None

    def post(self, body: bytes | bytearray, deadline: float) -> Answer:
        """Send a batch and return the answer; a kept connection that the other side has closed is made anew at once.

        Args:
            deadline: on the monotonic clock.

        Raises:
            Exception: one of FAILURES, or something is not as it must be and will not be the next time.
        """
        if self._http is not None and self._http.sock is not None:
            try:
                return self._post(body, deadline)
            except FAILURES:
                pass
        return self._post(body, deadline)

    def close(self) -> None:
        """Close it; the next batch opens it anew."""
        if self._http is not None:
            self._http.close()

    def _post(self, body: bytes | bytearray, deadline: float) -> Answer:
        if self._http is None:
            self._http = _connection(self._target)
        http, seconds = self._http, deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        http.timeout = seconds
        if http.sock is not None:
            http.sock.settimeout(seconds)
        try:
            http.request("POST", self._target.path, body, self._target.headers)
            response = http.getresponse()
            with response:
                answer = Answer(
                    response.status,
                    response.reason,
                    response.getheader("Retry-After"),
                    response.read(_ANSWER),
                )
                if not response.isclosed():  # there is more: it would be taken for the next answer
                    http.close()
            return answer
        except BaseException:
            http.close()
            raise


def compressed(body: bytearray, wbits: int) -> bytes | bytearray:
    """Return the body as it is sent."""
    if not wbits:
        return body
    press = zlib.compressobj(wbits=wbits)
    return press.compress(body) + press.flush()


def _variable(name: str) -> str:
    """Return a variable of the traces' own, or else the common one."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(
        f"OTEL_EXPORTER_OTLP_{name}", ""
    )


def _endpoint() -> str:
    """https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp"""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return endpoint or f"{base.removesuffix('/')}/v1/traces"


def _needs_requests(scheme: str, host: str) -> bool:
    """Tell whether requests would do something that we do not."""
    proxies = getproxies()
    return (
        any(os.environ.get(name) for name in _OF_REQUESTS)
        or os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() == "true"
        or ((scheme in proxies or "all" in proxies) and not proxy_bypass(host))
        or any(
            os.path.exists(os.path.expanduser(name)) for name in (os.environ.get("NETRC"), *_NETRC) if name
        )
    )


def _connection(target: Target) -> HTTPConnection:
    if target.scheme == "http":
        return HTTPConnection(target.host, target.port)
    import ssl

    roots = target.roots
    if not roots and find_spec("certifi"):  # what requests trusts: a switch of exporters changes nothing
        roots = import_module("certifi").where()
    is_folder = os.path.isdir(roots)
    context = ssl.create_default_context(
        cafile=None if is_folder else roots or None, capath=roots if is_folder else None
    )
    if target.certificate:
        context.load_cert_chain(target.certificate, target.key or None)
    return HTTPSConnection(target.host, target.port, context=context)
