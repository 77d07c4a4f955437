"""The probe app as a plain WSGI callable, which names its routes itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from obs_middleware import Observer, add_labels, leave_out, outgoing_headers
from obs_wsgi import ObservabilityMiddleware

from . import probe

Header = tuple[str, str]

ITEM = re.compile(r"/items/(\d+)")
SLASHED = re.compile(r"/slashed/(\d+)(/?)")


def make_app(observer: Observer | None, options: probe.Options = probe.Options()) -> Any:
    """Return the probe app, wrapped."""
    return ObservabilityMiddleware(make_bare_app(options), **probe.new_observer(observer))


def make_bare_app(options: probe.Options = probe.Options()) -> Any:
    """Return the probe app alone."""
    return _catching_all(_application) if options.catch_all else _application


def _catching_all(app: Any) -> Any:
    def catching(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception:
            return _answer(start_response, f"{probe.CATCH_ALL_STATUS} Sorry", b"caught")

    return catching


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ.get("PATH_INFO", "")
    if item := ITEM.fullmatch(path):
        return _item(environ, start_response, item[1])
    if slashed := SLASHED.fullmatch(path):
        return _slashed(environ, start_response, slashed)
    view = VIEWS.get(path, _not_found)
    if view is not _not_found:
        probe.name_route(path)
    try:
        return view(environ, start_response)
    except probe.HandledError as error:
        return _answer(start_response, f"{error.status} Handled", b"handled")


def _answer(start_response: Any, status: str, body: bytes, *headers: Header) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]


def _not_found(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return _answer(start_response, "404 Not Found", b"not found")


def _item(environ: dict[str, Any], start_response: Any, i: str) -> Iterable[bytes]:
    probe.name_route("/items/{i}")
    body = f"item {i}".encode()
    if environ["REQUEST_METHOD"] == "GET":
        return _answer(start_response, "200 OK", body)
    if environ["REQUEST_METHOD"] == "HEAD":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return []
    return _answer(start_response, "405 Method Not Allowed", b"", ("Allow", "GET, HEAD"))


def _slashed(environ: dict[str, Any], start_response: Any, match: re.Match[str]) -> Iterable[bytes]:
    if match[2]:
        probe.name_route("/slashed/{i}/")
        return _answer(start_response, "200 OK", b"slashed " + match[1].encode())
    return _answer(start_response, "307 Temporary Redirect", b"", ("Location", environ["PATH_INFO"] + "/"))


def _boom(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise ValueError("boom")


def _handled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise probe.HandledError(500)


def _teapot(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise probe.HandledError(418)


def _stream(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return chunks()


def _stream_long(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return long_chunks()


def _stream_broken(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return broken_chunks()


def _slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    probe.be_slow_sync()
    return _answer(start_response, "200 OK", b"slow")


def _log(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    probe.write_log()
    return _answer(start_response, "200 OK", b"logged")


def _whoami(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    milliseconds = float(parse_qs(environ.get("QUERY_STRING", "")).get("ms", ["0"])[0])
    return _answer(start_response, "200 OK", json.dumps(seen_ids(milliseconds)).encode())


def _outgoing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return _answer(start_response, "200 OK", json.dumps(outgoing_headers()).encode())


def _query(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return _answer(start_response, "200 OK", environ["QUERY_STRING"].encode("latin-1"))


def _own_id(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    headers = ("X-Request-ID", probe.OWN_ID), ("x-correlation-id", probe.OWN_ID)
    return _answer(start_response, "200 OK", b"own", *headers)


@leave_out
def _left_out(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return _answer(start_response, "200 OK", b"seen")


@add_labels(team="checkout")
def _labelled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return _answer(start_response, "200 OK", b"seen")


def _session(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    cookies = [("Set-Cookie", cookie) for cookie in probe.COOKIES]
    return _answer(start_response, "401 Unauthorized", b"who?", ("WWW-Authenticate", "Basic"), *cookies)


def _echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    return _answer(start_response, "200 OK", str(size).encode())


def seen_ids(milliseconds: float) -> dict[str, str | None]:
    """Return the request ID as each place of a sync view sees it."""
    seen = {"view": probe.request_id(), "thread": probe.request_id_in_thread()}
    time.sleep(milliseconds / 1000)
    seen["later"] = probe.request_id()
    return seen


def chunks() -> Iterator[bytes]:
    for chunk in probe.CHUNKS:
        time.sleep(probe.CHUNK_SECONDS)
        yield chunk


def long_chunks() -> Iterator[bytes]:
    for _ in range(probe.LONG_CHUNKS):
        yield probe.LONG_CHUNK
        time.sleep(probe.LONG_PAUSE_SECONDS)


def broken_chunks() -> Iterator[bytes]:
    yield probe.CHUNKS[0]
    raise ValueError("broken")


VIEWS: dict[str, Callable[[dict[str, Any], Any], Iterable[bytes]]] = {
    "/boom": _boom,
    "/handled": _handled,
    "/teapot": _teapot,
    "/stream": _stream,
    "/stream/long": _stream_long,
    "/stream/broken": _stream_broken,
    "/slow": _slow,
    "/log": _log,
    "/whoami": _whoami,
    "/outgoing": _outgoing,
    "/query": _query,
    "/own-id": _own_id,
    "/left-out": _left_out,
    "/labelled": _labelled,
    "/session": _session,
    "/echo": _echo,
}
