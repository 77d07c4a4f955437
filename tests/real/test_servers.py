"""One small app under every server of the field: what the client saw is what is recorded.

What can't be known, and is not asked here:
- uvicorn, hypercorn, granian (ASGI): `send` says nothing when the client has gone; an app that streams without ever
  calling `receive` counts as answered in full. Starlette, FastAPI and Django call it.
- uWSGI: an exception of a raw app is no 500; it closes the connection.
- granian (WSGI): what `write()` is given is dropped, and an exception is answered by granian itself, so that the 500 of
  a raw app has no request ID. Flask and Django answer their exceptions themselves.
- gunicorn, granian (WSGI): that a client has left is learnt when a piece can't be sent, one or a few pieces late.
- every server: bytes that it has taken and could not deliver count as sent.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import installed, running
from tests.core.support import eventually
from tests.installed import ROOT
from tests.real import apache
from tests.real.apps import CHUNK, CHUNKS
from tests.running import Answer, Server

ASGI, WSGI = "tests.real.apps:asgi", "tests.real.apps:wsgi"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}"]
GRANIAN = ["granian", "--host", "127.0.0.1", "--port", "{port}", "--interface"]
UWSGI = [
    "uwsgi",
    "--http-socket",
    "127.0.0.1:{port}",
    "--master",
    "--enable-threads",
    "--need-app",
    "--die-on-term",
]
PYWSGI = """
from gevent import monkey; monkey.patch_all()
import signal, gevent, tests.real.apps
from gevent.pywsgi import WSGIServer
server = WSGIServer(("127.0.0.1", {port}), tests.real.apps.wsgi, log=None)
gevent.signal_handler(signal.SIGTERM, server.stop)
server.serve_forever()
"""
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "{port}", ASGI],
    "uvicorn h11 asyncio": ["uvicorn", "--port", "{port}", "--http", "h11", "--loop", "asyncio", ASGI],
    "daphne": ["daphne", "--access-log", "/dev/null", "--bind", "127.0.0.1", "--port", "{port}", ASGI],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", ASGI],
    "granian asgi": [*GRANIAN, "asgi", ASGI],
    "granian wsgi": [*GRANIAN, "wsgi", WSGI],
    "gunicorn sync": [*GUNICORN, "--worker-class", "sync", WSGI],
    "gunicorn gthread": [*GUNICORN, "--worker-class", "gthread", "--threads", "2", WSGI],
    "waitress": ["waitress", "--listen=127.0.0.1:{port}", WSGI],
    "gevent pywsgi": ["gevent", "-c", PYWSGI],
    "uwsgi": [*UWSGI, "--module", WSGI, "--home", sys.prefix],
    "apache": ["apache"],
}


@pytest.fixture(scope="module", params=SERVERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(name: str, tmp_path: Path) -> Iterator[Server]:
    """A server of its own for each test, so that each reads its own log."""
    program, *options = SERVERS[name]
    if program == "apache":
        with apache.serve(dict(installed.clean())) as server:
            yield server
        return
    more = running.gunicorn_options() if program == "gunicorn" else []
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}
    if program == "uwsgi":
        found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if found is None:
            pytest.skip("no uwsgi here: pip install uwsgi")
        command = ["sh", "-c", 'exec "$@" 2>&1', "sh", found, *options]  # its log and ours are one stream
    else:
        pytest.importorskip(program)
        command = [sys.executable, *([] if options[0] == "-c" else ["-m", program]), *options, *more]
    with running.serve(command, folder=tmp_path, env=installed.clean() | path) as server:
        yield server


def told(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["path"], line["status"], line["outcome"], line["error_type"]


def test_what_the_client_saw_is_what_is_recorded(name: str, server: Server) -> None:
    """IDs, status, time and bytes of a plain answer, an upload, a HEAD, a stream and an unhandled exception."""
    marks = [time.perf_counter()]

    def mark() -> None:
        """Note when the last request has its line, which it gets when all of it is over."""
        server.access(len(marks))
        marks.append(time.perf_counter())

    hello = server.get("/hello", X_Correlation_ID="order-7")
    mark()
    upload = server.get("/upload", "POST", b"x" * 5000)
    mark()
    head = server.get("/hello", "HEAD")
    mark()
    stream = server.get("/stream")
    mark()
    boom = failing(server, "/boom", X_Request_ID="mine")
    mark()
    lines = server.access(5)
    assert (hello.status, hello.body, upload.body, head.body) == (200, b"hello 0", b"hello 5000", b"")
    assert hello.headers["X-Correlation-ID"] == "order-7"
    assert stream.body == CHUNK * CHUNKS + b"hello 0"
    assert [told(line) for line in lines] == [
        ("/hello", 200, "ok", None),
        ("/upload", 200, "ok", None),
        ("/hello", 200, "ok", None),
        ("/stream", 200, "ok", None),
        ("/boom", 500, "error", "LookupError"),
    ]
    answers = [hello, upload, head, stream]
    assert [line["request_id"] for line in lines] == [*(answer.request_id for answer in answers), "mine"]
    if name == "uwsgi":
        assert boom is None
    else:
        assert boom is not None
        assert boom.status == 500
        if name != "granian wsgi":
            assert boom.request_id == "mine"
    assert [line["response_bytes"] for line in lines[:4]] == [len(answer.body) for answer in answers]
    assert [line["request_bytes"] for line in lines] == [0, 5000, 0, 0, 0]
    assert {line["client"] for line in lines} == {"127.0.0.1"}
    assert lines[3]["duration_ms"] >= 300
    for line, began, end in zip(lines, marks, marks[1:], strict=False):
        assert 0 < line["duration_ms"] < 1000 * (end - began)


def test_a_client_that_leaves_is_a_disconnect(server: Server) -> None:
    """In the middle of a stream; the next client is served as ever."""
    server.leave("/endless")
    (line,) = server.access(1)
    assert told(line) == ("/endless", 200, "client_disconnect", "client_disconnect")
    assert line["duration_ms"] < 30_000  # it would go on for two minutes
    assert server.get("/hello").status == 200
    active = 'http_server_active_requests{http_request_method="GET",url_scheme="http"} 0.0'
    eventually(lambda: active in metrics(server))


def test_metrics_and_log_agree(name: str, server: Server) -> None:
    """As many requests as lines, and the one server process is the one that answers the scrape."""
    for path in ("/hello", "/hello"):
        server.get(path)
    failing(server, "/boom")
    server.access(3)
    page = metrics(server)
    for route, status, error, count in (("/hello", "200", "", 2), ("/boom", "500", "LookupError", 1)):
        labels = f'error_type="{error}",http_request_method="GET",http_response_status_code="{status}"'
        assert f'duration_seconds_count{{{labels},http_route="{route}"}} {count}.0' in page


def test_every_line_of_ours_is_json_and_the_server_stops_in_order(name: str, server: Server) -> None:
    """SIGTERM ends the server within its own time, with our log written to the end."""
    server.get("/hello")
    failing(server, "/boom")
    server.access(2)
    server.stop()
    ours = [line for line in server.stdout.splitlines() if line.startswith("{")]
    assert len(ours) >= 2
    assert {"timestamp", "level", "logger", "message", "service"} <= set.intersection(*map(keys, ours))
    if not name.startswith(("granian", "uwsgi", "apache")):  # they log to stdout too, in their own words
        assert server.stdout.splitlines() == ours


def failing(server: Server, path: str, **headers: Any) -> Answer | None:
    """Ask for what raises an exception; uWSGI closes the connection, and would send nothing of a 500 of ours."""
    try:
        return server.get(path, **headers)
    except http.client.RemoteDisconnected:
        return None


def keys(line: str) -> set[str]:
    return set(json.loads(line))


def metrics(server: Server) -> str:
    return server.get("/metrics").body.decode()
