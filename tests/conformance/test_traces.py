"""Traces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request
from tests.conformance.probes import Probe

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
BAD = [
    "",
    "garbage",
    f"ff-{TRACE_ID}-{PARENT_ID}-01",
    f"00-{'0' * 32}-{PARENT_ID}-01",
    f"00-{TRACE_ID}-{'0' * 16}-01",
    f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
    f"{TRACEPARENT}-more",
    TRACEPARENT[:-1],
    f"{TRACEPARENT},{TRACEPARENT}",
]


def test_a_request_has_one_server_span(app: Probe, front_end: FrontEnd) -> None:
    """A request has one server span, with name and attributes as the conventions have them, and its request ID."""
    response = app.get("/items/1?page=2", ("User-Agent", "probe/1"))
    span = app.span()
    route = front_end.routes["item"]
    attributes: dict[str, Any] = dict(span.attributes or {})
    host, port = app.address
    assert span.name == f"GET {route}"
    assert attributes.pop("network.peer.port", 1) > 0  # some WSGI servers do not tell it
    assert attributes.pop("network.protocol.version") in ("1.0", "1.1")
    assert attributes == {
        "obs.request_id": response.request_id,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": route,
        "url.scheme": "http",
        "url.path": "/items/1",
        "url.query": "page=2",
        "server.address": host,
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "user_agent.original": "probe/1",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None


@pytest.mark.parametrize(
    "target", ["/boom", "/stream", "/nothing", "/handled", "/stream/broken", "/slashed/1"]
)
def test_every_request_has_one_span_however_it_ends(app: Probe, target: str) -> None:
    """There is one server span also for errors, streams and redirects."""
    app.get(target)
    app.access_line()
    assert app.span().parent is None


def test_a_trace_goes_on(app: Probe) -> None:
    """A caller's trace goes on: its trace ID, the caller as parent, its sampling, its tracestate."""
    app.get("/items/1", ("traceparent", TRACEPARENT), ("tracestate", "a=1,b=2"))
    span, line = app.span(), app.access_line()
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID == line["trace_id"]
    assert f"{span.parent.span_id:016x}" == PARENT_ID
    assert span.parent.is_remote
    assert dict(span.context.trace_state) == {"a": "1", "b": "2"}


def test_an_unsampled_trace_stays_unsampled(app: Probe) -> None:
    """A caller's unsampled trace is not recorded and keeps its ID."""
    app.get("/items/1", ("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-00"))
    assert app.access_line()["trace_id"] == TRACE_ID
    app.get("/items/2")
    assert len(app.spans(1)) == 1


@pytest.mark.parametrize("given", BAD)
def test_a_bad_traceparent_starts_a_new_trace(app: Probe, given: str) -> None:
    """A bad traceparent starts a new trace, without the tracestate."""
    assert app.get("/items/1", ("traceparent", given), ("tracestate", "a=1")).status == 200
    span = app.span()
    assert span.parent is None
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" != TRACE_ID
    assert not dict(span.context.trace_state)


def test_a_repeated_traceparent_starts_a_new_trace(app: Probe) -> None:
    """A repeated traceparent starts a new trace."""
    other = f"00-{'a' * 32}-{PARENT_ID}-01"
    app.get("/items/1", ("traceparent", TRACEPARENT), ("traceparent", other))
    span = app.span()
    assert span.parent is None
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" not in (TRACE_ID, "a" * 32)


def test_a_repeated_tracestate_is_joined(app: Probe) -> None:
    """Several tracestate headers are joined in order; a bad one does not spoil the traceparent."""
    app.get("/items/1", ("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2"))
    app.access_lines(1)
    app.get("/items/1", ("traceparent", TRACEPARENT), ("tracestate", "=bad="))
    first, second = (span.context for span in app.spans(2))
    assert first is not None
    assert second is not None
    assert list(dict(first.trace_state)) == ["a", "b"]
    assert f"{second.trace_id:032x}" == TRACE_ID
    assert not dict(second.trace_state)


def test_calls_made_carry_the_context_on(app: Probe) -> None:
    """Calls made for a request carry its trace, its request ID and its correlation ID on."""
    response = app.get("/outgoing", ("traceparent", TRACEPARENT), ("X-Correlation-ID", "story-1"))
    carried = {name.lower(): value for name, value in json.loads(response.body).items()}
    span = app.span()
    assert span.context is not None
    assert carried["traceparent"] == f"00-{TRACE_ID}-{span.context.span_id:016x}-01"
    assert carried["x-request-id"] == response.request_id
    assert carried["x-correlation-id"] == "story-1"


def test_without_tracing_the_context_goes_on(serve: Any) -> None:
    """With tracing off nothing is recorded, and the trace goes on all the same."""
    app = serve(tracing_enabled=False)
    carried = json.loads(app.get("/outgoing", ("traceparent", TRACEPARENT)).body)
    assert carried["traceparent"].split("-")[1] == TRACE_ID
    assert carried["traceparent"].split("-")[2] != PARENT_ID
    assert app.access_line()["trace_id"] == TRACE_ID
    app.spans(0)


def test_headers_that_the_user_names_are_on_the_span(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that the standard variables name, by regular expressions too, are on the span without their secrets."""
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"
    monkeypatch.setenv(f"{prefix}_SERVER_REQUEST", "X-Shop-.*,authorization,Accept")
    monkeypatch.setenv(f"{prefix}_SERVER_RESPONSE", "www-authenticate,set-cookie,x-request-.*")
    monkeypatch.setenv(f"{prefix}_SANITIZE_FIELDS", ".*-pin-of-shop")
    app = serve()
    response = app.get(
        "/session",
        ("X-Shop-Id", "7"),
        ("x-shop-note", "password=hunter2"),
        ("X-Shop-Pin-Of-Shop", "1234"),
        ("Authorization", "Bearer tok-5ecret"),
        ("X-Other", "no"),
    )
    span = app.span()
    attributes = {key: value for key, value in (span.attributes or {}).items() if ".header." in key}
    assert attributes == {
        "http.request.header.x-shop-id": ("7",),
        "http.request.header.x-shop-note": ("password=REDACTED",),
        "http.request.header.x-shop-pin-of-shop": ("[REDACTED]",),
        "http.request.header.authorization": ("REDACTED",),
        "http.response.header.www-authenticate": tuple(response.all("www-authenticate")),
        "http.response.header.set-cookie": ("REDACTED", "REDACTED"),
        "http.response.header.x-request-id": (response.request_id,),
    }


@pytest.mark.parametrize("target", ["/stream", "/stream/broken", "/items/1", "/boom"])
def test_no_context_is_detached_in_the_wrong_place(app: Probe, target: str, capfd: Any) -> None:
    """Nothing complains of a context that can't be detached."""
    app.get(target)
    app.access_line()
    assert "detach" not in app.output()
    assert "different Context" not in app.output() + "".join(capfd.readouterr())


def test_a_failure_of_an_exporter_is_not_the_requests(make: Any) -> None:
    """A span processor that raises does not reach the request; metrics and access line are there."""
    app = make()
    app.exporter.export = _fail
    assert app.call(Request(b"/items/1")).status == 200
    app.access_line()
    app.counted(1)


def _fail(spans: Any) -> Any:
    raise RuntimeError("the exporter is broken")
