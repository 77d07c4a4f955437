"""The adapter that docs/write-an-adapter.md shows does what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_middleware import Observer, bind, current_exchange, gateway

PAGE = Path(__file__).parents[2] / "docs/write-an-adapter.md"
LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")


@dataclass
class Request:
    """What tinyweb hands to a handler."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    address: str = "192.0.2.7"
    route: str | None = None


@dataclass
class Response:
    """What a handler returns."""

    status: int
    headers: dict[str, str]
    body: Iterable[bytes]


class Tiny:
    """An app of tinyweb behind the page's middleware."""

    def __init__(self, middleware: Any) -> None:
        self.registry = CollectorRegistry()
        self.observer = Observer(registry=self.registry, log_setup=False)
        self._observed = middleware(self.handle, self.observer)
        self.seen: list[str | None] = []

    def handle(self, request: Request) -> Response:
        """Route and answer, as the framework and its views would."""
        request.route = {"/items/1": "/items/{id}", "/stream": "/stream", "/boom": "/boom"}.get(request.path)
        exchange = current_exchange()
        self.seen.append(exchange.request_id if exchange else None)
        bind(view="item")
        if request.path == "/boom":
            raise RuntimeError("boom")
        if request.path == "/stream":
            return Response(200, {}, self.stream())
        return Response(200 if request.route else 404, {"Content-Length": "5"}, [b"hello"])

    def stream(self) -> Iterator[bytes]:
        for _ in range(3):
            self.seen.append(current_exchange().request_id)  # type: ignore[union-attr]
            yield b"part"

    def call(self, method: str, path: str, **headers: str) -> Response:
        """Send a request, as a server would."""
        response: Response = self._observed(Request(method, path, headers=headers))
        return response

    def count(self, *labels: str) -> float | None:
        """Return how many requests have these labels."""
        name = "http_server_request_duration_seconds_count"
        return self.registry.get_sample_value(name, dict(zip(LABELS, labels, strict=True)))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    tinyweb: Any = ModuleType("tinyweb")
    tinyweb.Request, tinyweb.Response = Request, Response
    monkeypatch.setitem(sys.modules, "tinyweb", tinyweb)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    adapter: dict[str, Any] = {"__name__": "obs_tinyweb"}
    exec(compile(code, str(PAGE), "exec"), adapter)
    app = Tiny(adapter["ObservabilityMiddleware"])
    yield app
    app.observer.close()


def close(response: Response) -> None:
    closing: Callable[[], None] = response.body.close  # type: ignore[attr-defined]
    closing()


def test_request_is_measured_by_its_route_and_gets_its_id(tiny: Tiny) -> None:
    response = tiny.call("GET", "/items/1", **{"X-Request-ID": "mine"})
    assert b"".join(response.body) == b"hello"
    assert response.headers["X-Request-ID"] == response.headers["X-Correlation-ID"] == "mine"
    assert tiny.seen == ["mine"]
    assert tiny.count("GET", "/items/{id}", "200", "") == 1
    assert current_exchange() is None


def test_unknown_path_has_no_route(tiny: Tiny) -> None:
    assert b"".join(tiny.call("GET", "/nothing").body) == b"hello"
    assert tiny.count("GET", "", "404", "") == 1


def test_exception_passes_and_is_an_error(tiny: Tiny) -> None:
    with pytest.raises(RuntimeError, match="boom"):
        tiny.call("GET", "/boom")
    assert tiny.count("GET", "/boom", "500", "RuntimeError") == 1


def test_stream_belongs_to_its_request_until_its_last_chunk(tiny: Tiny) -> None:
    response = tiny.call("GET", "/stream")
    chunks = iter(response.body)
    assert next(chunks) == b"part"
    assert tiny.count("GET", "/stream", "200", "") is None
    assert len([*chunks]) == 2
    assert len(set(tiny.seen)) == 1
    close(response)
    assert tiny.count("GET", "/stream", "200", "") == 1


def test_client_that_leaves_a_stream_is_a_disconnect(tiny: Tiny) -> None:
    response = tiny.call("GET", "/stream")
    assert next(iter(response.body)) == b"part"
    close(response)
    assert tiny.count("GET", "/stream", "200", "client_disconnect") == 1


def test_probes_and_metrics_are_answered_before_the_app(tiny: Tiny) -> None:
    ready = tiny.call("GET", "/health/ready")
    assert (ready.status, [*ready.body]) == (200, [b'{"status":"pass"}'])
    assert b"http_server_active_requests" in b"".join(tiny.call("GET", "/metrics").body)
    assert tiny.call("HEAD", "/metrics").body == []
    assert tiny.seen == []


def test_request_of_which_nothing_can_be_learned_reaches_the_app(tiny: Tiny) -> None:
    broken: Any = Request("GET", "/items/1")
    broken.headers = None
    response = tiny._observed(broken)
    assert response.body == [b"hello"]
    assert tiny.seen == [None]
    assert tiny.registry.get_sample_value("obs_internal_errors_total", {"component": "start"}) == 1


def test_page_names_all_that_the_gateway_module_offers() -> None:
    page = PAGE.read_text()
    of_the_core = {
        "attend_to_details",
        "capture_response_headers",
        "continued",
        "forget",
        "left_out",
        "perf_counter",
        "redacted_path",
        "time_ns",
        "add_sink",
        "tracer_provider",
    }  # what an Exchange, an Observer and obs_middleware.testing call
    for name in gateway.__all__:
        assert name == "Gateway" or re.search(rf"`{name}\b", page), name
    for name in {name for name in dir(gateway.Gateway) if not name.startswith("_")} - of_the_core:
        assert re.search(rf"`{name}\b", page), name
