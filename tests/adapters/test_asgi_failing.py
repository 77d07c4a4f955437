"""What ends a request: its name, its status, and who answers it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.exceptions import NotFound

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from tests.adapters.asgi import Answer, ask, get, served

START = {"type": "http.response.start", "status": 200, "headers": []}
PIECE = {"type": "http.response.body", "body": b"piece", "more_body": True}
LAST = {"type": "http.response.body", "body": b"end"}


def raising(error: BaseException, *before: Any) -> Any:
    """Return an app that sends these messages and raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        raise error

    return app


class Answers:
    """An error page around us, which wraps nothing."""

    def __init__(self, app: Any, status: int = 503) -> None:
        self.app, self.status = app, status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            await PlainTextResponse("later", status_code=self.status)(scope, receive, send)


def told(line: Any) -> tuple[Any, ...]:
    return line.status, line.outcome, line.error_type


# Who answers


def test_raw_app_that_raises_is_answered_with_the_id(observer: Observer, access: list[Any]) -> None:
    answer = get(ObservabilityMiddleware(raising(LookupError()), observer=observer))
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert answer.all("x-request-id") == [access[0].request_id]
    assert isinstance(answer.error, LookupError)
    assert told(access[0]) == (500, "error", "LookupError")


def test_page_around_us_answers(observer: Observer, access: list[Any]) -> None:
    """Written as a class, as a function and with any arguments."""
    inner = ObservabilityMiddleware(raising(LookupError()), observer=observer)

    async def function(scope: Any, receive: Any, send: Any) -> None:
        await Answers(inner)(scope, receive, send)

    async def any_arguments(*args: Any) -> None:
        try:
            await inner(*args)
        except LookupError:
            await PlainTextResponse("later", status_code=503)(*args)

    for app in (Answers(inner), function, any_arguments):
        answer = get(app)
        assert (answer.status, answer.body, answer.error) == (503, b"later", None)
    assert [told(line) for line in access] == [(500, "error", "LookupError")] * 3


def test_layer_around_us_that_catches_nothing_leaves_the_answer_to_us(observer: Observer) -> None:
    """It counts, or measures."""
    inner = ObservabilityMiddleware(raising(LookupError()), observer=observer)

    async def counts(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        finally:
            scope.clear()

    async def measures(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.ExitStack():
            await inner(scope, receive, send)

    async def hands_on(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    for app in (counts, measures, hands_on):
        assert len(get(app).all("x-request-id")) == 1


def test_layer_around_us_may_catch_in_a_function_of_its_own(observer: Observer) -> None:
    inner = ObservabilityMiddleware(raising(LookupError()), observer=observer)

    class Layer:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if not await self.serve((scope, receive, send)):
                await PlainTextResponse("later", status_code=503)(scope, receive, send)

        async def serve(self, request: Any) -> bool:
            try:
                await inner(*request)
            except:  # noqa: E722
                return False
            return True

    assert get(Layer()).status == 503


def test_error_middleware_of_an_app_around_us_answers(observer: Observer) -> None:
    for app in (Starlette(), FastAPI()):
        app.mount("/raw", ObservabilityMiddleware(raising(LookupError()), observer=observer))
        for debug in (False, True):
            app.debug, app.middleware_stack = debug, None
            with pytest.raises(LookupError):
                TestClient(app).get("/raw/x")
            response = TestClient(app, raise_server_exceptions=False).get("/raw/x")
            assert response.status_code == 500
            assert ("LookupError" in response.text) is debug


def test_middleware_in_another_task_answers(observer: Observer) -> None:
    class Page(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            try:
                return await call_next(request)
            except LookupError:
                return PlainTextResponse("later", status_code=503)

    answer = get(Page(ObservabilityMiddleware(raising(LookupError()), observer=observer)))
    assert (answer.status, answer.body) == (503, b"later")


@pytest.mark.parametrize("error", [HTTPException(404), NotFound()])
def test_exception_with_a_status_of_its_own_is_not_ours_to_answer(
    observer: Observer, access: list[Any], error: Exception
) -> None:
    """Whoever it is meant for answers with that status."""
    answer = get(Answers(ObservabilityMiddleware(raising(error), observer=observer), 404))
    assert answer.status == 404
    assert told(access[0]) == (404, "ok", None)


def test_exception_with_a_status_that_nobody_answers_is_the_servers(
    observer: Observer, access: list[Any]
) -> None:
    answer = get(ObservabilityMiddleware(raising(HTTPException(404)), observer=observer))
    assert answer.messages == []
    assert isinstance(answer.error, HTTPException)


def test_answering_can_be_switched_off(access: list[Any]) -> None:
    answer = get(ObservabilityMiddleware(raising(LookupError()), error_response=False))
    assert answer.messages == []
    assert isinstance(answer.error, LookupError)
    assert told(access[0]) == (500, "error", "LookupError")


# What ends it


class Timeout(BaseException):
    pass


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), Timeout(), BaseException()])
@pytest.mark.parametrize("before", [(), (START, PIECE)], ids=["unanswered", "half answered"])
def test_end_of_a_process_is_an_error_with_its_name(
    observer: Observer, access: list[Any], error: BaseException, before: Any
) -> None:
    """Servers answer it with a 500."""
    app = ObservabilityMiddleware(raising(error, *before), observer=observer)
    with pytest.raises(type(error)):
        _drive(app)
    (line,) = access
    assert told(line)[:2] == (200 if before else 500, "error")
    assert line.error_type.endswith(type(error).__name__)
    assert line.levelname == "ERROR"


def _drive(app: Any) -> None:
    coroutine = ask(app)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_cancellation_is_cancelled(observer: Observer, access: list[Any], error: BaseException) -> None:
    with pytest.raises(type(error)):
        _drive(ObservabilityMiddleware(raising(error), observer=observer))
    assert told(access[0]) == (None, "cancelled", "cancelled")


# The first status


class Server:
    """A server that refuses a second start, as servers do, or drops it."""

    def __init__(self, *, refuses: bool) -> None:
        self.statuses: list[int] = []
        self._refuses = refuses

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if self.statuses and self._refuses:
                raise RuntimeError("Unexpected ASGI message 'http.response.start'")
            self.statuses.append(message["status"])


@pytest.mark.parametrize("refuses", [True, False])
def test_first_status_that_the_server_took_stays(
    observer: Observer, access: list[Any], refuses: bool
) -> None:
    app = ObservabilityMiddleware(Answers(raising(LookupError(), START, PIECE)), observer=observer)
    get(app, send=Server(refuses=refuses))
    assert access[0].status == 200
    assert access[0].outcome == ("error" if refuses else "ok")


def test_first_status_that_the_server_refused_is_none(observer: Observer, access: list[Any]) -> None:
    async def refuses(message: Any) -> None:
        if message.get("status") == 200:
            raise RuntimeError("no")

    answer = get(
        ObservabilityMiddleware(Answers(raising(LookupError(), START)), observer=observer), send=refuses
    )
    assert answer.status == 503
    assert told(access[0]) == (503, "error", "503")


# The last piece


def _leaves_in(piece: str) -> Any:
    """Return an app whose listener cancels its stream, and a server that tells of the disconnect in a piece."""
    gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            await receive()
            await receive()
            sending.cancel()

        async def stream() -> None:
            for message in (START, PIECE, LAST):
                await send(message)

        sending, listening = asyncio.ensure_future(stream()), asyncio.ensure_future(listen())
        await asyncio.wait([sending])
        listening.cancel()

    async def server(message: Any) -> None:
        if message.get("body") == piece.encode():
            gone.set()
            await asyncio.sleep(60)

    async def disconnect() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    return app, server, disconnect


@pytest.mark.parametrize(("piece", "outcome"), [("end", "ok"), ("piece", "client_disconnect")])
def test_disconnect_while_the_last_piece_goes_out_says_nothing(
    observer: Observer, access: list[Any], piece: str, outcome: str
) -> None:
    async def run() -> None:
        app, server, disconnect = _leaves_in(piece)
        first = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return first.pop() if first else await disconnect()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await ObservabilityMiddleware(app, observer=observer)(scope, receive, server)

    asyncio.run(run())
    assert [line.outcome for line in access] == [outcome]


# Starlette's first request


@pytest.fixture(params=["lifespan", "no lifespan"])
def call(request: pytest.FixtureRequest) -> Any:
    if request.param == "lifespan":
        return served
    return lambda app, *paths, **more: [get(app, path, **more) for path in paths]


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_body_that_is_too_large_is_refused_at_the_first_request_too(
    call: Any, observer: Observer, access: list[Any], kind: Any
) -> None:
    if "max_body_size" not in inspect.signature(kind).parameters:
        pytest.skip("this release has no limit")
    app = kind(max_body_size=10)

    async def read(request: Request) -> Any:
        return PlainTextResponse(str(len(await request.body())))

    app.add_route("/read", read, methods=["POST"])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    too_large = [(b"content-length", b"100")]
    answers: list[Answer] = call(app, "/read", "/read", method="POST", headers=too_large)
    assert [answer.status for answer in answers] == [413, 413]
    assert [line.status for line in access] == [413, 413]
    assert all(len(answer.all("x-request-id")) == 1 for answer in answers)


def test_handler_for_exception_runs_once_for_each_request(call: Any, observer: Observer) -> None:
    handled: list[Any] = []

    async def count(request: Any, error: Exception) -> Any:
        handled.append(request.url.path)
        return PlainTextResponse("sorry", status_code=500)

    async def boom(request: Any) -> Any:
        raise LookupError

    app = Starlette(
        routes=[Route("/boom", boom), Route("/bang", boom)], exception_handlers={Exception: count}
    )
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    call(app, "/boom", "/bang", "/boom")
    assert handled == ["/boom", "/bang", "/boom"]


def test_middleware_outside_sees_each_request_once(call: Any, observer: Observer, access: list[Any]) -> None:
    """And its answers are recorded, that to the first request too."""
    seen: list[str] = []

    class Outside:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                seen.append(scope["path"])
                await PlainTextResponse("no", status_code=403)(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    app = Starlette()
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    app.add_middleware(Outside)
    call(app, "/a", "/b")
    assert seen == ["/a", "/b"]
    assert [told(line) for line in access] == [(403, "ok", None)] * 2


def test_handler_that_fails_too_is_a_500(call: Any, observer: Observer, access: list[Any]) -> None:
    async def fails_too(request: Any, error: Exception) -> Any:
        raise ConnectionError("the database is gone")

    async def boom(request: Any) -> Any:
        raise LookupError

    app = Starlette(routes=[Route("/boom", boom)], exception_handlers={Exception: fails_too})
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    call(app, "/boom", "/boom")
    assert [told(line) for line in access] == [(500, "error", "LookupError")] * 2
