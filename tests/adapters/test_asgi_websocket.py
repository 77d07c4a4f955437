"""Which close code counts, and that counting never costs a message."""

from __future__ import annotations

import asyncio
from enum import Enum, IntEnum
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import get

ACCEPT = {"type": "websocket.accept"}
CONNECTIONS = "http_server_websocket_connections_total"


class _Code(IntEnum):
    """As wsproto's, whose text is its name, as that of each such class was before Python 3.11."""

    GOING_AWAY = 1001

    __str__ = Enum.__str__
    __format__ = Enum.__format__


def codes(observer: Observer) -> dict[str, float]:
    return {
        sample.labels["websocket_close_code"]: sample.value
        for family in observer.registry.collect()
        for sample in family.samples
        if sample.name == CONNECTIONS
    }


def websocket(observer: Observer, app: Any, *incoming: Any) -> Any:
    middleware = ObservabilityMiddleware(app, observer=observer)
    return get(middleware, type="websocket", scheme="ws", incoming=incoming)


@pytest.mark.parametrize(
    ("incoming", "outgoing", "code"),
    [
        ([], [{"type": "websocket.close", "code": 4000}], "4000"),
        ([], [{"type": "websocket.close"}], "1000"),
        ([{"type": "websocket.disconnect", "code": 1001}], [], "1001"),
        ([{"type": "websocket.disconnect"}], [], "1005"),
        ([{"type": "websocket.disconnect", "code": 1006}], [], "1006"),
        (
            [{"type": "websocket.disconnect", "code": 1001}],
            [{"type": "websocket.close", "code": 4000}],
            "1001",
        ),
        ([{"type": "websocket.disconnect", "code": _Code.GOING_AWAY}], [], "1001"),
        ([{"type": "websocket.disconnect", "code": "odd"}], [], ""),
        ([], [], ""),  # whatever the server says then
    ],
)
def test_the_code_of_the_side_that_closes_first_counts(
    observer: Observer, incoming: Any, outgoing: Any, code: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        for _ in incoming:
            await receive()
        for message in outgoing:
            await send(message)

    websocket(observer, app, *incoming)
    assert codes(observer) == {code: 1}


@pytest.mark.parametrize(("closing", "code"), [({}, "1006"), ({"reason": ""}, "1005")])
def test_a_websocket_that_uvicorn_has_lost_is_no_clean_close(
    observer: Observer, closing: Any, code: str
) -> None:
    """It says 1005 of both, and gives a reason with each close frame."""
    messages = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1005, **closing}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()

    send.__module__ = "uvicorn.protocols.websockets"
    scope = {"type": "websocket", "scheme": "ws", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(ObservabilityMiddleware(app, observer=observer)(scope, receive, send))
    assert codes(observer) == {code: 1}


def test_websocket_whose_view_fails_is_closed_by_the_server(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        raise ValueError

    websocket(observer, app)
    assert codes(observer) == {"1011": 1}


def test_websocket_that_is_refused_is_none(observer: Observer) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4001})

    websocket(observer, app)
    assert codes(observer) == {}


def test_metrics_that_fail_cost_no_message(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            def fail(_: Any) -> None:
                raise RuntimeError("the disk is full")

            return fail

    monkeypatch.setattr(type(observer.gateway), "websocket_opened", lambda *_: Failing())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await send({"type": "websocket.send", "text": "a"})
        await send({"type": "websocket.close", "code": 1000})

    answer = websocket(observer, app, {"type": "websocket.receive", "text": "b"})
    assert answer.error is None
    assert answer.types == ["websocket.accept", "websocket.send", "websocket.close"]
    counted = observer.registry.get_sample_value("obs_internal_errors_total", {"component": "websocket"})
    assert counted == 3


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)
    message = await receive()
    await send({"type": "websocket.send", "bytes": message["bytes"]})
    await send({"type": "websocket.ping"})  # of a server that has more than the specification
    await send({"type": "websocket.close", "code": 1000})


SAID = {"type": "websocket.receive", "bytes": b"hello"}
ECHOED = ["websocket.accept", "websocket.send", "websocket.ping", "websocket.close"]


def bytes_of(line: Any) -> tuple[Any, ...]:
    return line.status, line.outcome, line.request_bytes, line.response_bytes


def test_bytes_are_on_the_access_line_where_no_metric_of_websockets_is_wanted(access: list[Any]) -> None:
    observer = Observer(registry=CollectorRegistry(), log_setup=False, http_metrics="request_duration")
    assert websocket(observer, echo, SAID).types == ECHOED
    assert [bytes_of(line) for line in access] == [(101, "ok", 5, 5)]
    assert codes(observer) == {}


def test_websocket_that_cannot_be_counted_is_served(
    observer: Observer, access: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(type(observer.gateway), "websocket_opened", fail)
    answer = websocket(observer, echo, SAID)
    assert (answer.error, answer.types) == (None, ECHOED)
    assert [bytes_of(line) for line in access] == [(101, "ok", 5, 5)]
    assert observer.registry.get_sample_value("obs_internal_errors_total", {"component": "route"}) == 1


def test_denial_that_goes_on_after_its_end_is_one_exchange(observer: Observer, access: list[Any]) -> None:
    """Servers refuse the second end; what they think of it is theirs to say."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        for _ in range(2):
            await send({"type": "websocket.http.response.body", "body": b"none"})

    assert websocket(observer, app).status == 404
    assert [(line.status, line.outcome) for line in access] == [(404, "ok")]
