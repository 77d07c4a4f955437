"""A service that drains has its clients close their connections, where protocol and server have a word for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from obs_asgi import ObservabilityMiddleware as Asgi
from obs_django import get_observer
from obs_middleware.lifecycle import Lifecycle
from obs_wsgi import ObservabilityMiddleware as Wsgi
from tests.adapters.asgi import get
from tests.adapters.django_project import asgi_app, project, wsgi_app
from tests.adapters.wsgi import call

GRANIAN = {"SERVER_SOFTWARE": "Granian/2.8", "SERVER_PROTOCOL": "HTTP/1.1"}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"connection", b"keep-alive"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hi"})


def hello_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"hi"]


@pytest.mark.parametrize("path", ["/", "/health/live"])
def test_asgi_says_so_in_http_1_alone(path: str) -> None:
    app = Asgi(hello)
    before = get(app, path).all("connection")
    assert before == (["keep-alive"] if path == "/" else [])
    app.observer.lifecycle.drain()
    assert get(app, path).all("connection") == ["close"]
    assert get(app, path, http_version="2").all("connection") == before


@pytest.mark.parametrize("make", [lambda: Asgi(hello), lambda: Wsgi(hello_wsgi)], ids=["asgi", "wsgi"])
def test_the_probe_by_which_a_worker_learns_of_the_drain_closes_too(make: Any, tmp_path: Path) -> None:
    """The worker that was asked has told the others by a file, which they look for when a probe comes."""
    app = make()
    ask = (
        (lambda: get(app, "/health/live"))
        if isinstance(app, Asgi)
        else lambda: call(app, "/health/live", **GRANIAN)
    )
    app.observer.lifecycle.shared_folder = lambda: tmp_path
    assert ask().all("connection") == []
    time.sleep(0.02)  # a file's time is some milliseconds behind
    asked = Lifecycle()
    asked.shared_folder = lambda: tmp_path
    asked.drain_all()
    assert ask().all("connection") == ["close"]


def test_a_websocket_is_left_alone() -> None:
    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    app = Asgi(accept)
    app.observer.lifecycle.drain()
    assert get(app, type="websocket", scheme="ws").all("connection", kind="accept") == []


@pytest.mark.parametrize("path", ["/", "/health/live"])
def test_wsgi_says_so_to_a_server_that_takes_it(path: str) -> None:
    app = Wsgi(hello_wsgi)
    assert call(app, path, **GRANIAN).all("connection") == []
    app.observer.lifecycle.drain()
    assert call(app, path, **GRANIAN).all("connection") == ["close"]
    assert call(app, path).all("connection") == []


def test_gunicorn_is_told_in_its_own_way() -> None:
    class Response:
        is_closed = False

        def force_close(self) -> None:
            self.is_closed = True

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
            return bytes

    app = Wsgi(hello_wsgi)
    app.observer.lifecycle.drain()
    response, environ = Response(), {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}
    list(app(environ, response.start_response))
    assert response.is_closed


@pytest.mark.parametrize("path", ["/items/7", "/health/live"])
def test_django_says_so_too(path: str) -> None:
    with project():
        get_observer().lifecycle.drain()
        headers = [(b"host", b"shop.test")]
        assert get(asgi_app(), path, headers=headers).all("connection") == ["close"]
        assert get(asgi_app(), path, headers=headers, http_version="2").all("connection") == []
        assert call(wsgi_app(), path, HTTP_HOST="shop.test").all("connection") == []
        assert call(wsgi_app(), path, HTTP_HOST="shop.test", **GRANIAN).all("connection") == ["close"]
