"""The ASGI middleware around raw apps: lifespan, messages, headers, websockets, and apps that are no asyncio ones."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Gauge

from obs_asgi import ObservabilityMiddleware
from obs_middleware import ConfigError, Observer, RequestInfo, current_exchange
from obs_middleware.exchange import CARRIER_KEY
from tests.adapters.asgi import Lifespan, ask, get, request, without_a_loop

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"hello"}
CHILD = trace.SpanContext(1, 2, is_remote=False)
BIG = {"type": "http.response.body", "body": b"x" * 10, "more_body": True}


def sends(*messages: Any) -> Any:
    """Return an app that knows no lifespan and answers every request with these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] in ("http", "websocket"), "no lifespan here"
        await receive()
        for message in messages:
            await send(message)

    return app


class Lives:
    """An app with a lifespan, whose startup or shutdown may fail."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers or ("lifespan.startup.complete", "lifespan.shutdown.complete")
        self.at_shutdown: Callable[[], None] = lambda: None
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await sends(START, BODY)(scope, receive, send)
            return
        self.seen.append(scope)
        for answer in self.answers:
            self.seen.append(await receive())
            if answer.startswith("lifespan.shutdown"):
                self.at_shutdown()
            await send({"type": answer, **({"message": "no database"} if "failed" in answer else {})})


def probe(observer: Observer, path: str) -> int:
    """Ask a probe with no request, which would be taken as a sign that the app has started."""
    return observer.gateway.reply(RequestInfo("GET", path, "", "http", lambda name: None), path).status


async def _ready(app: Any) -> int:
    return (await ask(app, "/health/ready")).status


# Lifespan


def test_an_apps_lifespan_is_its_own(observer: Observer) -> None:
    """The app sees the server's scope and events, the server sees the app's answers."""
    app = Lives()

    async def live() -> Lifespan:
        async with Lifespan(ObservabilityMiddleware(app, observer=observer)) as lifespan:
            pass
        return lifespan

    lifespan = asyncio.run(live())
    assert [message["type"] for message in lifespan.messages] == list(app.answers)
    assert lifespan.error is None
    assert "state" in app.seen[0]
    assert app.seen[1:] == [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


def test_an_app_without_a_lifespan_says_so_to_the_server(observer: Observer, access: list[Any]) -> None:
    """The exception that means 'no lifespan here' reaches the server; requests are then served and probes answered."""

    async def live() -> Lifespan:
        app = ObservabilityMiddleware(sends(START, BODY), observer=observer)
        async with Lifespan(app) as lifespan:
            assert isinstance(lifespan.error, AssertionError)
            assert (await ask(app)).status == 200
            assert await _ready(app) == 200
        return lifespan

    assert asyncio.run(live()).messages == []
    assert [line.status for line in access] == [200]


def test_a_startup_that_fails_is_told_as_the_app_tells_it(observer: Observer) -> None:
    """What the app says of a failed startup reaches the server word for word, and the app has not started."""

    async def live() -> Any:
        app = ObservabilityMiddleware(Lives("lifespan.startup.failed"), observer=observer)
        async with Lifespan(app) as lifespan:
            return lifespan

    assert asyncio.run(live()).messages == [{"type": "lifespan.startup.failed", "message": "no database"}]
    assert probe(observer, "/health/startup") == 503


def test_readiness_is_off_while_the_app_shuts_down(observer: Observer) -> None:
    """From the shutdown event on the service is not ready, and still alive."""
    app = Lives()
    statuses: list[int] = []
    app.at_shutdown = lambda: statuses.extend(
        probe(observer, f"/health/{name}") for name in ("ready", "live")
    )

    async def live() -> None:
        observed = ObservabilityMiddleware(app, observer=observer)
        async with Lifespan(observed):
            assert await _ready(observed) == 200

    asyncio.run(live())
    assert statuses == [503, 200]


def test_an_app_that_is_started_again_is_ready_again(observer: Observer) -> None:
    """As test clients do it."""

    async def live() -> None:
        observed = ObservabilityMiddleware(Lives(), observer=observer)
        for _ in range(2):
            async with Lifespan(observed):
                assert await _ready(observed) == 200

    asyncio.run(live())


def test_scopes_of_other_kinds_reach_the_app(observer: Observer) -> None:
    """A scope that nobody knows yet is handed on as it is."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "webtransport"}
    asyncio.run(ObservabilityMiddleware(app, observer=observer)(scope, None, None))  # type: ignore[arg-type]
    assert seen == [{"type": "webtransport"}]


# Settings


def test_an_observer_and_settings_together_are_refused(observer: Observer) -> None:
    with pytest.raises(ConfigError, match="either an observer or settings, got an observer and metrics_path"):
        ObservabilityMiddleware(sends(), observer=observer, metrics_path="/m")


def test_a_bad_setting_is_told_when_an_app_is_wrapped() -> None:
    with pytest.raises(ConfigError, match="trace_sample_ratio must be a number between 0 and 1, got 3"):
        ObservabilityMiddleware(sends(), trace_sample_ratio=3)


# The response


@pytest.mark.parametrize(
    "headers",
    [
        [(b"a", b"1"), (b"b", b"2")],
        ((b"a", b"1"), (b"b", b"2")),
        [[b"a", b"1"], [b"b", b"2"]],
        iter([(b"a", b"1"), (b"b", b"2")]),
        [(bytearray(b"a"), b"1"), (memoryview(b"b"), b"2")],
        [(b"A", b"1"), (b"B", b"2")],
        [(b"a", b"1"), (b"b", b"2"), (b"\xe9", b"\xff")],
    ],
    ids=["list", "tuple", "lists", "iterator", "buffers", "upper", "latin-1"],
)
def test_headers_of_any_shape_are_kept_and_ours_added(observer: Observer, headers: Any) -> None:
    """The protocol asks for an iterable of pairs of byte strings; servers take more."""
    answer = get(ObservabilityMiddleware(sends({**START, "headers": headers}, BODY), observer=observer))
    pairs = [(bytes(name).lower(), bytes(value)) for name, value in answer.start["headers"]]
    assert pairs[:2] == [(b"a", b"1"), (b"b", b"2")]
    assert [name for name, _ in pairs].count(b"x-request-id") == 1


def test_buffers_as_values_do_not_lose_the_apps_headers(observer: Observer) -> None:
    """Even a value that we can't read is sent on as it came."""
    headers = ((name, memoryview(value)) for name, value in [(b"a", b"1"), (b"b", b"2")])
    answer = get(ObservabilityMiddleware(sends({**START, "headers": headers}, BODY), observer=observer))
    pairs = [(bytes(name), bytes(value)) for name, value in answer.start["headers"]]
    assert pairs[:2] == [(b"a", b"1"), (b"b", b"2")]


def test_a_response_without_headers_gets_ours(observer: Observer) -> None:
    """`headers` is optional in the protocol."""
    answer = get(
        ObservabilityMiddleware(
            sends({"type": "http.response.start", "status": 204}, BODY), observer=observer
        )
    )
    assert len(answer.all("x-request-id")) == len(answer.all("x-correlation-id")) == 1


def test_the_apps_message_is_not_changed(observer: Observer) -> None:
    """An app may send one and the same message for every request."""
    start = {**START, "headers": [(b"a", b"1")]}
    app = ObservabilityMiddleware(sends(start, BODY), observer=observer)
    ids = {get(app).all("x-request-id")[0] for _ in range(3)}
    assert len(ids) == 3
    assert start == {**START, "headers": [(b"a", b"1")]}


def test_a_status_of_an_enum_is_its_number(observer: Observer, access: list[Any]) -> None:
    """`HTTPStatus.CREATED` is counted as 201, on every Python."""
    get(ObservabilityMiddleware(sends({**START, "status": HTTPStatus.CREATED}, BODY), observer=observer))
    labels = {
        sample.labels["http_response_status_code"]
        for family in observer.registry.collect()
        for sample in family.samples
        if sample.name == "http_server_request_duration_seconds_count"
    }
    assert labels == {"201"}
    assert access[0].getMessage() == "GET / 201"


def test_trailers_are_part_of_the_response(observer: Observer, access: list[Any]) -> None:
    """A response with trailers has ended when the last of them was sent."""
    trailers = {"type": "http.response.trailers", "headers": [(b"etag", b"x")]}
    messages = ({**START, "trailers": True}, BODY, {**trailers, "more_trailers": True}, trailers)
    answer = get(ObservabilityMiddleware(sends(*messages), observer=observer))
    assert answer.types == [message["type"] for message in messages]
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", 5)]


def test_trailers_that_never_come_leave_the_response_incomplete(
    observer: Observer, access: list[Any]
) -> None:
    get(ObservabilityMiddleware(sends({**START, "trailers": True}, BODY), observer=observer))
    assert [(line.status, line.outcome) for line in access] == [(200, "incomplete")]


def test_a_body_that_never_ends_leaves_the_response_incomplete(observer: Observer, access: list[Any]) -> None:
    get(ObservabilityMiddleware(sends(START, BIG), observer=observer))
    assert [(line.status, line.outcome, line.error_type) for line in access] == [
        (200, "incomplete", "incomplete")
    ]


def test_a_file_sent_by_the_server_counts_its_declared_bytes(observer: Observer, access: list[Any]) -> None:
    """`http.response.pathsend`: the bytes never pass through Python."""
    start = {**START, "headers": [(b"content-length", b"4096")]}
    messages = (start, {"type": "http.response.pathsend", "path": "/srv/film"})
    answer = get(ObservabilityMiddleware(sends(*messages), observer=observer))
    assert answer.messages[1] is messages[1]
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", 4096)]


def test_a_file_sent_from_a_descriptor_ends_the_response(observer: Observer, access: list[Any]) -> None:
    """`http.response.zerocopysend`, which may come in pieces."""
    piece = {"type": "http.response.zerocopysend", "file": 7, "count": 100, "more_body": True}
    get(ObservabilityMiddleware(sends(START, piece, {**piece, "more_body": False}), observer=observer))
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", 200)]


def test_messages_of_extensions_pass_through(observer: Observer, access: list[Any]) -> None:
    """Early hints and pushes are no part of the response."""
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
    answer = get(ObservabilityMiddleware(sends(hint, START, BODY), observer=observer))
    assert answer.messages[0] is hint
    assert [(line.status, line.outcome) for line in access] == [(200, "ok")]


# The client


def test_a_send_that_fails_since_the_client_has_gone_is_a_disconnect(
    observer: Observer, access: list[Any]
) -> None:
    """ASGI 2.4: `send` raises an OSError; the app gets it, and the status that was sent stays."""

    async def gone(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError("gone")

    answer = get(ObservabilityMiddleware(sends(START, BIG, BODY), observer=observer), send=gone)
    assert isinstance(answer.error, ConnectionResetError)
    assert [(line.status, line.outcome) for line in access] == [(200, "client_disconnect")]


class Refused(Exception):
    """What a framework makes of it."""


@pytest.mark.parametrize("is_function", [True, False])
def test_a_refused_chunk_is_a_disconnect_whatever_the_app_makes_of_it(
    observer: Observer, access: list[Any], is_function: bool
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(BIG)
        try:
            await send({**BIG, "body": b"refused"})
        except OSError as error:
            raise Refused from error

    observed = ObservabilityMiddleware(app, observer=observer)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        async def refuse(message: Any) -> None:
            if message.get("body") == b"refused":
                raise ConnectionResetError("gone")
            await send(message)

        class Refuse:
            """A server's `send` that is no Python function, whose frame would tell what it has refused."""

            def __call__(self, message: Any) -> Any:
                return refuse(message)

        await observed(scope, receive, refuse if is_function else Refuse())

    answer = get(served)
    assert isinstance(answer.error, Refused)
    assert [(line.status, line.outcome) for line in access] == [(200, "client_disconnect")]


def test_the_apps_own_oserror_in_mid_stream_is_no_disconnect(observer: Observer, access: list[Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(BIG)
        await send(BIG)
        raise FileNotFoundError("the rest")

    assert isinstance(get(ObservabilityMiddleware(app, observer=observer)).error, FileNotFoundError)
    assert [(line.status, line.outcome, line.error_type) for line in access] == [
        (200, "error", "FileNotFoundError")
    ]


def test_a_status_that_could_not_be_sent_is_not_recorded(observer: Observer, access: list[Any]) -> None:
    """A server that refuses the response's start has sent no status."""

    async def refuse(message: Any) -> None:
        raise ValueError("header values must not contain a line feed")

    answer = get(ObservabilityMiddleware(sends(START, BODY), observer=observer), send=refuse)
    assert isinstance(answer.error, ValueError)
    assert [(line.status, line.outcome, line.error_type) for line in access] == [
        (None, "error", "ValueError")
    ]


def test_the_servers_news_of_the_client_reaches_the_app(observer: Observer, access: list[Any]) -> None:
    """An app that asks, hears that the client has gone, and gives up."""
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([await receive(), await receive()])

    get(ObservabilityMiddleware(app, observer=observer), incoming=[{"type": "http.disconnect"}])
    assert heard[1] == {"type": "http.disconnect"}
    assert [(line.status, line.outcome) for line in access] == [(None, "client_disconnect")]


def test_an_app_that_answers_nothing_is_incomplete(observer: Observer, access: list[Any]) -> None:
    get(ObservabilityMiddleware(sends(), observer=observer))
    assert [(line.status, line.outcome) for line in access] == [(None, "incomplete")]


def test_a_repeated_header_is_one_joined_value(observer: Observer) -> None:
    """Servers keep repeated headers apart; a repeated ID is not taken."""
    headers = [(b"x-request-id", b"one"), (b"x-request-id", b"two")]
    answer = get(ObservabilityMiddleware(sends(START, BODY), observer=observer), headers=headers)
    assert answer.all("x-request-id") not in (["one"], ["two"], ["one,two"])


def test_headers_and_client_of_any_shape_are_read(observer: Observer, access: list[Any]) -> None:
    """Servers differ in lists and tuples, and some know no client."""
    app = ObservabilityMiddleware(sends(START, BODY), observer=observer)
    assert get(app, headers=[[b"x-request-id", b"mine"]], client=["10.0.0.9", 5]).all("x-request-id") == [
        "mine"
    ]
    assert get(app, headers=((b"x-request-id", b"mine"),), client=None).all("x-request-id") == ["mine"]
    assert [line.client for line in access] == ["10.0.0.9", None]


# Where we are


def test_probes_answer_below_the_servers_root_path(observer: Observer) -> None:
    """`uvicorn --root-path /shop` puts the prefix before the path, though the proxy has cut it off."""
    app = ObservabilityMiddleware(sends(START, BODY), observer=observer)
    assert get(app, "/shop/health/live", root_path="/shop").types == [
        "http.response.start",
        "http.response.body",
    ]
    assert get(app, "/shop/health/live", root_path="/shop").body == b'{"status":"pass"}'
    assert get(app, "/health/live", root_path="/shop").body == b'{"status":"pass"}'
    assert get(app, "/shopping/health/live", root_path="/shop").body == b"hello"


def test_two_middlewares_make_one_exchange(observer: Observer, access: list[Any]) -> None:
    """Wrapped twice by mistake: one access line, one ID, one count; the exception of the app is known."""

    async def boom(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("nothing there")

    for app in (sends(START, BODY), boom):
        twice = ObservabilityMiddleware(ObservabilityMiddleware(app, observer=observer), observer=observer)
        assert len(get(twice).all("x-request-id")) == 1
    assert [(line.status, line.error_type) for line in access] == [(200, None), (500, "LookupError")]


def test_what_a_server_begins_as_the_response_ends_holds_no_exchange(
    observer: Observer, access: list[Any]
) -> None:
    """The timer of a kept connection takes the context along, and the app goes on in its own."""
    taken, spans, seen = [], [], []

    async def send(message: Any) -> None:
        if not message.get("more_body", message["type"] == START["type"]):
            taken.append(contextvars.copy_context())
            spans.append(trace.get_current_span())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        with trace.use_span(trace.NonRecordingSpan(CHILD)):
            await send(BODY)
            seen.append((current_exchange(), trace.get_current_span().get_span_context()))
        seen.append((current_exchange(), trace.get_current_span().get_span_context()))

    get(ObservabilityMiddleware(app, observer=observer), send=send)
    assert [context.run(current_exchange) for context in taken] == [None]
    assert spans == [trace.INVALID_SPAN]
    (first, child), (second, own) = seen
    assert first is second
    assert first is not None
    assert child == CHILD
    assert f"{own.span_id:016x}" == first.span_id


def test_a_scope_that_a_server_keeps_holds_no_exchange(observer: Observer) -> None:
    scope, inside = request("/"), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.append(CARRIER_KEY in scope)
        await sends(START, BODY)(scope, receive, send)

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(ObservabilityMiddleware(app, observer=observer)(scope, nothing, nothing))
    assert inside == [True]
    assert CARRIER_KEY not in scope


def test_no_event_loop_of_asyncio_is_needed(observer: Observer, access: list[Any]) -> None:
    """Under trio: start, request, probe and shutdown."""
    app = ObservabilityMiddleware(Lives(), observer=observer)
    lifespan = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    body = {"type": "http.request", "body": b"", "more_body": False}
    assert without_a_loop(app, request("/"), body)[1] == BODY
    assert without_a_loop(app, request("/health/ready"), body)[1]["body"] == b'{"status":"pass"}'
    assert [message["type"] for message in without_a_loop(app, {"type": "lifespan"}, *lifespan)] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert [line.status for line in access] == [200]


def test_every_byte_of_the_request_is_counted_as_it_is_read(observer: Observer, access: list[Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(START)
        await send(BODY)

    pieces = [{"type": "http.request", "body": b"x" * size, "more_body": size < 3} for size in (1, 2, 3)]

    async def ask_with_body() -> None:
        async def receive() -> Any:
            return pieces.pop(0)

        async def send(message: Any) -> None:
            pass

        await ObservabilityMiddleware(app, observer=observer)(request("/"), receive, send)

    asyncio.run(ask_with_body())
    assert [line.request_bytes for line in access] == [6]


# Websockets

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 1000}


def websocket(observer: Observer, *messages: Any, incoming: Any = (), app: Any = None) -> Any:
    """Open a websocket to an app that sends these messages."""
    return get(
        ObservabilityMiddleware(app or sends(*messages), observer=observer),
        type="websocket",
        scheme="ws",
        incoming=incoming,
    )


def test_the_id_is_on_the_answer_that_accepts_a_websocket(observer: Observer, access: list[Any]) -> None:
    accept = {**ACCEPT, "subprotocol": "chat", "headers": [(b"x-room", b"7")]}
    answer = websocket(observer, accept, CLOSE)
    assert answer.all("x-request-id", kind="accept") == [access[0].request_id]
    assert answer.all("x-room", kind="accept") == ["7"]
    assert answer.messages[0]["subprotocol"] == "chat"
    assert [(line.method, line.status, line.outcome) for line in access] == [("GET", 101, "ok")]


def test_what_a_websocket_carries_is_counted(observer: Observer, access: list[Any]) -> None:
    """Text counts as UTF-8, bytes as they are, in both directions; half of a pair is no reason to fail."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while (await receive())["type"] == "websocket.receive":
            pass
        await send({"type": "websocket.send", "text": "é"})
        await send({"type": "websocket.send", "bytes": b"123", "text": None})

    incoming = [
        {"type": "websocket.receive", "text": "né\ud800"},
        {"type": "websocket.receive", "bytes": b"12"},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    websocket(observer, app=app, incoming=incoming)
    assert [(line.request_bytes, line.response_bytes, line.outcome) for line in access] == [(8, 5, "ok")]


@pytest.mark.parametrize(
    ("closing", "outcome"),
    [
        ({"code": 1000}, "ok"),
        ({"code": 1001}, "ok"),
        ({"code": 1005}, "ok"),
        ({}, "ok"),  # 1005 is the protocol's default
        ({"code": 1006}, "client_disconnect"),
    ],
)
def test_the_close_code_of_the_client_tells_how_it_ended(
    observer: Observer, access: list[Any], closing: Any, outcome: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()

    websocket(observer, app=app, incoming=[{"type": "websocket.disconnect", **closing}])
    assert [(line.status, line.outcome) for line in access] == [(101, outcome)]


@pytest.mark.parametrize(
    ("server", "closing", "outcome"),
    [
        ("uvicorn.protocols.websockets", {"code": 1005}, "client_disconnect"),  # it was dropped
        ("uvicorn.protocols.websockets", {"code": 1005, "reason": ""}, "ok"),  # a close frame without a code
        ("uvicorn.protocols.websockets", {"code": 1000, "reason": ""}, "ok"),
        ("granian", {"code": 1005}, "ok"),
    ],
)
def test_uvicorn_gives_a_reason_with_every_close_frame(
    observer: Observer, access: list[Any], server: str, closing: Any, outcome: str
) -> None:
    messages = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", **closing}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()

    send.__module__ = server
    scope = {**request("/chat"), "type": "websocket", "scheme": "ws"}
    asyncio.run(ObservabilityMiddleware(app, observer=observer)(scope, receive, send))
    assert [line.outcome for line in access] == [outcome]


def test_a_websocket_that_is_refused_is_a_403(observer: Observer, access: list[Any]) -> None:
    websocket(observer, CLOSE)
    assert [(line.method, line.status, line.outcome) for line in access] == [("GET", 403, "ok")]


def test_a_websocket_that_is_denied_with_a_response_has_its_status(
    observer: Observer, access: list[Any]
) -> None:
    """The denial response extension: a status and a body of the app's choice, and our headers on it."""
    start = {"type": "websocket.http.response.start", "status": 401, "headers": []}
    answer = websocket(observer, start, {"type": "websocket.http.response.body", "body": b"who are you?"})
    assert answer.all("x-request-id") == [access[0].request_id]
    assert [(line.status, line.outcome, line.response_bytes) for line in access] == [(401, "ok", 12)]


def test_an_exception_before_a_websocket_is_accepted_is_the_servers_to_answer(
    observer: Observer, access: list[Any]
) -> None:
    """A plain 500 is no message that a websocket knows; servers have one for it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no such room")

    answer = websocket(observer, app=app)
    assert isinstance(answer.error, LookupError)
    assert answer.messages == []
    assert [(line.status, line.outcome, line.error_type) for line in access] == [
        (500, "error", "LookupError")
    ]


def test_an_exception_after_the_client_has_closed_is_no_error(observer: Observer, access: list[Any]) -> None:
    """Starlette raises WebSocketDisconnect into the app; the connection went well until then."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        raise RuntimeError("WebSocketDisconnect")

    websocket(observer, app=app, incoming=[{"type": "websocket.disconnect", "code": 1000}])
    assert [(line.status, line.outcome) for line in access] == [(101, "ok")]


def test_a_websocket_to_a_probes_path_is_the_apps(observer: Observer, access: list[Any]) -> None:
    app = ObservabilityMiddleware(sends(ACCEPT, CLOSE), observer=observer)
    assert get(app, "/metrics", type="websocket", scheme="ws").types == [
        "websocket.accept",
        "websocket.close",
    ]
    assert len(access) == 1


def test_big_page_goes_out_in_pieces() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("shop_items", "About.", ("a",), registry=registry)
    for number in range(10_000):
        gauge.labels(f"item {number}").set(number)
    app = ObservabilityMiddleware(sends(), observer=Observer(registry=registry))
    answer = get(app, "/metrics")
    pieces = answer.messages[1:]
    assert answer.all("content-length") == [str(len(answer.body))]
    assert answer.body.count(b"\nshop_items{") == 10_000
    assert max(len(piece["body"]) for piece in pieces) <= 65536
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert len(get(app, "/metrics", method="HEAD").messages) == 2
    sent = without_a_loop(app, request("/metrics"))
    assert _items(b"".join(message.get("body", b"") for message in sent)) == _items(answer.body)


def _items(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if line.startswith(b"shop_items")]


def test_client_that_leaves_in_the_middle_of_a_page_is_no_error() -> None:
    async def refuse(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("the client has gone")

    assert get(ObservabilityMiddleware(sends(), observer=Observer()), "/metrics", send=refuse).error is None
