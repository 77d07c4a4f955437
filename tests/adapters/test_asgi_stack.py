"""The ASGI middleware in the stack of a Starlette app, whose error middleware sits outside every added one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from obs_asgi import ObservabilityMiddleware
from obs_middleware import ConfigError, Observer
from tests.adapters.asgi import Answer, Lifespan, get, served

Calls = list[Any]


async def boom(request: Any) -> Any:
    raise LookupError("nothing there")


async def fine(request: Any) -> Any:
    return PlainTextResponse("fine")


async def apologise(request: Any, error: Exception) -> Any:
    return PlainTextResponse("sorry", status_code=418)


def make_app(
    observer: Observer | None = None, *, handler: Any = None, debug: bool = False, **settings: Any
) -> Any:
    handlers = {} if handler is None else {Exception: handler}
    routes = [Route("/boom", boom), Route("/fine", fine)]
    app = Starlette(routes=routes, exception_handlers=handlers, debug=debug)
    given: Any = {**settings, **({} if observer is None else {"observer": observer})}
    app.add_middleware(ObservabilityMiddleware, **given)
    return app


def told(line: Any) -> tuple[Any, ...]:
    return line.path, line.status, line.outcome, line.error_type


@pytest.fixture(params=["lifespan", "no lifespan"])
def call(request: pytest.FixtureRequest) -> Any:
    """Call an app that was started, or one whose first event is the request."""
    if request.param == "lifespan":
        return served
    return lambda app, *paths: [get(app, path) for path in paths]


def with_cors(app: Any) -> Any:
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    return app


def untouched(app: Any) -> Any:
    return app


@pytest.mark.parametrize("more", [untouched, with_cors], ids=["alone", "inside another"])
def test_the_first_request_may_fail_and_its_500_has_the_id(
    call: Any, observer: Observer, access: Calls, more: Any
) -> None:
    """Starlette's own answer, with the ID, also to the very first request and with other middlewares around us."""
    answers: list[Answer] = call(more(make_app(observer)), "/boom", "/boom")
    for answer in answers:
        assert isinstance(answer.error, LookupError)
        assert (answer.status, answer.body) == (500, b"Internal Server Error")
        assert answer.all("content-type") == ["text/plain; charset=utf-8"]
        assert len(answer.all("x-request-id")) == 1
    assert [told(line) for line in access] == [("/boom", 500, "error", "LookupError")] * 2
    assert [line.request_id for line in access] == [answer.all("x-request-id")[0] for answer in answers]


@pytest.mark.parametrize("more", [untouched, with_cors], ids=["alone", "inside another"])
def test_the_first_request_may_fail_and_a_handler_for_exception_answers(
    call: Any, observer: Observer, access: Calls, more: Any
) -> None:
    """The app's own answer reaches the client with the ID, and its status is the one that is recorded."""
    answers: list[Answer] = call(more(make_app(observer, handler=apologise)), "/boom", "/boom")
    for answer in answers:
        assert (answer.status, answer.body) == (418, b"sorry")
        assert len(answer.all("x-request-id")) == 1
    assert [told(line) for line in access] == [("/boom", 418, "ok", None)] * 2


class Fails:
    """A middleware that fails by itself."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise KeyError("no such header")
        await self.app(scope, receive, send)


def test_error_of_a_middleware_outside_has_its_name(call: Any, observer: Observer, access: Calls) -> None:
    app = make_app(observer)
    app.add_middleware(Fails)
    call(app, "/fine", "/fine", "/fine")
    assert [told(line) for line in access] == [("/fine", 500, "error", "KeyError")] * 3


def test_starlettes_debug_page_is_still_shown(call: Any, observer: Observer) -> None:
    """In debug the traceback is the answer, and details of the probes are open."""
    observer.health.add("disk", lambda: True)
    boomed, ready = call(make_app(observer, debug=True), "/boom", "/health/ready")
    assert boomed.status == 500
    assert b"LookupError: nothing there" in boomed.body
    assert b'"disk"' in ready.body


def test_a_handler_is_run_once(observer: Observer) -> None:
    """Standing around the stack runs none of it twice."""
    runs: list[Any] = []

    async def count(request: Any, error: Exception) -> Any:
        runs.append(error)
        return PlainTextResponse("sorry", status_code=500)

    served(with_cors(make_app(observer, handler=count)), "/boom", "/boom")
    assert len(runs) == 2


def test_other_middlewares_see_the_exchange_and_their_answers_are_recorded(
    call: Any, observer: Observer, access: Calls
) -> None:
    """A middleware added later stands outside ours; from the second request on its refusal is recorded too."""

    class Refuse(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            if request.headers.get("host") == "shop.test":
                return PlainTextResponse("no", status_code=403)
            return await call_next(request)

    app = make_app(observer)
    app.add_middleware(Refuse)
    *_, last = served(app, "/fine", "/fine")
    assert last.status == 403
    assert len(last.all("x-request-id")) == 1
    assert [line.status for line in access] == [403, 403]


def test_added_twice_by_mistake_it_observes_once(call: Any, observer: Observer, access: Calls) -> None:
    app = make_app(observer)
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    fine, boomed = call(app, "/fine", "/boom")
    assert len(fine.all("x-request-id")) == len(boomed.all("x-request-id")) == 1
    assert [told(line) for line in access] == [
        ("/fine", 200, "ok", None),
        ("/boom", 500, "error", "LookupError"),
    ]


def test_wrapped_by_hand_and_added_it_observes_once(call: Any, observer: Observer, access: Calls) -> None:
    app = ObservabilityMiddleware(make_app(observer), observer=observer)
    call(app, "/fine", "/boom")
    assert [told(line) for line in access] == [
        ("/fine", 200, "ok", None),
        ("/boom", 500, "error", "LookupError"),
    ]


def test_wrapped_by_hand_alone_it_knows_routes_and_errors(
    call: Any, observer: Observer, access: Calls
) -> None:
    bare = Starlette(routes=[Route("/boom", boom)], exception_handlers={Exception: apologise})
    call(ObservabilityMiddleware(bare, observer=observer), "/boom")
    assert [(line.route, *told(line)[1:]) for line in access] == [("/boom", 418, "ok", None)]


def test_a_mounted_app_with_a_middleware_of_its_own_is_observed_once(
    call: Any, observer: Observer, access: Calls
) -> None:
    sub = make_app(observer)
    app = Starlette(routes=[Mount("/sub", app=sub)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    _, boomed = call(app, "/sub/fine", "/sub/boom")
    assert len(boomed.all("x-request-id")) == 1
    assert [(line.route, line.status, line.error_type) for line in access] == [
        ("/sub/fine", 200, None),
        ("/sub/boom", 500, "LookupError"),
    ]


def test_a_mounted_app_may_be_the_only_one_observed(call: Any, observer: Observer, access: Calls) -> None:
    """No lifespan reaches it; its requests have the whole path, its probes answer below its mount."""
    app = Starlette(routes=[Mount("/sub", app=make_app(observer)), Route("/fine", fine)])
    fine_, boomed, ready, outside = call(app, "/sub/fine", "/sub/boom", "/sub/health/ready", "/fine")
    assert len(fine_.all("x-request-id")) == len(boomed.all("x-request-id")) == 1
    assert ready.body == b'{"status":"pass"}'
    assert outside.all("x-request-id") == []
    assert [line.route for line in access] == ["/sub/fine", "/sub/boom"]


def test_starlettes_test_client_raises_what_the_app_raises(observer: Observer) -> None:
    app = make_app(observer)
    with TestClient(app) as client, pytest.raises(LookupError):
        client.get("/boom")
    with pytest.raises(LookupError):
        TestClient(make_app(observer)).get("/boom")


def test_an_app_that_is_built_again_is_observed_again(observer: Observer, access: Calls) -> None:
    """OpenTelemetry's instrumentation drops a stack that was built and builds it anew."""
    app = make_app(observer)
    served(app, "/fine")
    app.middleware_stack = app.build_middleware_stack()
    served(app, "/boom")
    assert [told(line) for line in access] == [
        ("/fine", 200, "ok", None),
        ("/boom", 500, "error", "LookupError"),
    ]


class WithoutErrorPage(Starlette):
    """An app that builds its stack itself, with no error middleware around it."""

    def build_middleware_stack(self) -> Any:
        stack: Any = self.router
        for kind, args, keywords in reversed(self.user_middleware):
            stack = kind(stack, *args, **keywords)
        return stack


class WithOtherErrorPage(Starlette):
    """An app whose stack begins with a middleware of its own."""

    def build_middleware_stack(self) -> Any:
        middleware: list[Any] = [(CORSMiddleware, (), {"allow_origins": ["*"]}), *self.user_middleware]
        stack: Any = self.router
        for kind, args, keywords in reversed(middleware):
            stack = kind(stack, *args, **keywords)
        return stack


@pytest.mark.parametrize("kind", [WithoutErrorPage, WithOtherErrorPage])
def test_an_app_that_builds_its_stack_by_itself_is_observed(
    call: Any, observer: Observer, access: Calls, kind: Any
) -> None:
    app = kind(routes=[Route("/boom", boom), Route("/fine", fine)])
    app.add_middleware(ObservabilityMiddleware, observer=observer)
    failed, answered = call(app, "/boom", "/fine")
    assert [told(line) for line in access] == [
        ("/boom", 500, "error", "LookupError"),
        ("/fine", 200, "ok", None),
    ]
    assert [answer.all("x-request-id") for answer in (failed, answered)] == [
        [line.request_id] for line in access
    ]


def fails_to_start(app: Any) -> str:
    """Return what the server is told by an app that does not start."""

    async def live() -> Lifespan:
        async with Lifespan(app) as lifespan:
            return lifespan

    lifespan = asyncio.run(live())
    assert isinstance(lifespan.error, ConfigError)
    (message,) = lifespan.messages
    assert message["type"] == "lifespan.startup.failed"
    return str(message["message"])


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_a_bad_setting_stops_the_app_at_its_start(kind: Any) -> None:
    """Starlette builds its middlewares at the first event; the error is told as a startup that failed."""
    app = kind()
    app.add_middleware(ObservabilityMiddleware, metrics_pth="/m")
    told = "obs-middleware: metrics_pth is not a setting: did you mean metrics_path"
    assert fails_to_start(app).startswith(told)


def test_a_bad_setting_stops_a_subclass_too(observer: Observer) -> None:
    """A subclass that sets its own defaults fails at the same time, and not at the first request."""

    class Ours(ObservabilityMiddleware):
        def __init__(self, app: Any) -> None:
            super().__init__(app, trace_sample_ratio=10)

    app = Starlette()
    app.add_middleware(Ours)
    assert "trace_sample_ratio must be a number between 0 and 1" in fails_to_start(app)


def test_an_observer_and_settings_together_stop_the_app_at_its_start(observer: Observer) -> None:
    assert "either an observer or settings" in fails_to_start(make_app(observer, metrics_path="/m"))


def test_settings_by_name_are_those_of_the_middleware(call: Any) -> None:
    page, live = call(
        make_app(metrics_path="/internal/metrics", live_path="/alive"), "/internal/metrics", "/alive"
    )
    assert page.status == live.status == 200
    assert b"http_server_request_duration_seconds" in page.body
