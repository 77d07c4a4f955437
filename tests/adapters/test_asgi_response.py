"""One ID on the client and on every line, where asgi-correlation-id or the app gives the request its ID."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, current_exchange, other_ids
from obs_middleware.logs import ContextFilter
from obs_middleware.queue import flush
from tests.adapters.asgi import Answer, Lifespan, ask
from tests.core.support import Caught, caught

App = Callable[..., Any]
GIVEN = [(b"x-request-id", b"3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
NO_UUID = [(b"x-request-id", b"gateway-17")]


@pytest.fixture
def observer() -> Iterator[Observer]:
    yield Observer(registry=CollectorRegistry(), log_setup=False)
    other_ids.OTHER_IDS.clear()


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def home() -> PlainTextResponse:
        exchange = current_exchange()
        assert exchange is not None
        logging.getLogger("app").info("in the view")
        return PlainTextResponse(exchange.request_id)

    @app.get("/boom")
    async def boom() -> None:
        raise LookupError

    return app


def ours_added_last(observer: Observer, **theirs: Any) -> App:
    app = fastapi_app()
    app.add_middleware(CorrelationIdMiddleware, **theirs)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


def ours_added_first(observer: Observer, **theirs: Any) -> App:
    app = fastapi_app()
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    app.add_middleware(CorrelationIdMiddleware, **theirs)
    return app


def ours_wrapped_around(observer: Observer, **theirs: Any) -> App:
    return ObservabilityMiddleware(CorrelationIdMiddleware(fastapi_app(), **theirs), observer)


def theirs_wrapped_around(observer: Observer, **theirs: Any) -> App:
    return CorrelationIdMiddleware(ObservabilityMiddleware(fastapi_app(), observer), **theirs)


def behind_a_task(observer: Observer, **theirs: Any) -> App:
    app = fastapi_app()
    app.add_middleware(CorrelationIdMiddleware, **theirs)
    app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, call_next: call_next(request))
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    return app


ORDERS = [ours_added_last, ours_added_first, ours_wrapped_around, theirs_wrapped_around, behind_a_task]


def asked(app: App, *headers: list[tuple[bytes, bytes]], path: str = "/") -> tuple[list[Answer], Caught]:
    """Ask with these headers, one request after the other in one task, which keeps the variables of others."""

    async def serve() -> list[Answer]:
        async with Lifespan(app):
            return [await ask(app, path, headers=one) for one in headers]

    context = ContextFilter()
    with caught("app") as log, caught("obs.access") as access:
        for handler in (log, access):
            handler.addFilter(context)
        answers = asyncio.run(serve())
        flush()
    log.records += access.records
    return answers, log


@pytest.mark.parametrize("make", ORDERS)
@pytest.mark.parametrize(
    "theirs", [{}, {"update_request_header": False}, {"transformer": lambda own: own[:8]}]
)
def test_the_id_that_the_client_has_is_on_every_line(make: Any, theirs: Any, observer: Observer) -> None:
    answers, log = asked(make(observer, **theirs), [], GIVEN, NO_UUID, [])
    ids = []
    for answer in answers:
        assert answer.status == 200
        [own_id] = answer.all("x-request-id")
        assert answer.body.decode() == own_id
        ids.append(own_id)
    assert len(set(ids)) == 4
    assert [record.request_id for record in log.records if record.name == "app"] == ids  # type: ignore[attr-defined]
    assert [record.request_id for record in log.records if record.name == "obs.access"] == ids  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", ORDERS)
def test_an_unhandled_error_has_the_id_once(make: Any, observer: Observer) -> None:
    """The answer comes from around their middleware, which then adds no header."""
    answers, log = asked(make(observer), [], GIVEN, path="/boom")
    ids = [answer.all("x-request-id") for answer in answers]
    assert [len(one) for one in ids] == [1, 1]
    assert ids[1] == [GIVEN[0][1].decode()]
    assert [[record.request_id] for record in log.records] == ids  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", ORDERS)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_first_request_without_a_lifespan_has_the_id_once(
    make: Any, is_first: bool, observer: Observer
) -> None:
    app = make(observer)
    if not is_first:
        asyncio.run(ask(app))
    answer = asyncio.run(ask(app))
    assert len(answer.all("x-request-id")) == 1


@pytest.mark.parametrize("make", ORDERS)
@pytest.mark.parametrize("name", ["X-Correlation-ID", "X-Trace-Token"])
def test_their_header_of_another_name_has_the_same_id(make: Any, name: str, observer: Observer) -> None:
    [answer, _], log = asked(make(observer, header_name=name), [], [])
    [theirs] = answer.all(name.lower())
    assert answer.all("x-request-id") == answer.all("x-correlation-id") == [theirs]
    assert answer.body.decode() == theirs
    assert [record.request_id for record in log.records][::2] == [theirs] * 2  # type: ignore[attr-defined]


def test_a_websocket_gets_our_header_where_theirs_is_around(observer: Observer) -> None:
    """It adds none to a websocket."""

    async def accept(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    app = CorrelationIdMiddleware(ObservabilityMiddleware(accept, observer))
    answer = asyncio.run(ask(app, type="websocket", scheme="ws"))
    assert len(answer.all("x-request-id", kind="websocket.accept")) == 1
