"""The compiled way between Django and our middleware does what the Python code does."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from obs_django import middleware as django
from obs_middleware import Exchange, Observer
from obs_middleware.exchange import CARRIED_AS
from tests.adapters.django_project import project
from tests.adapters.test_compiled_wsgi import Text, both, learnt
from tests.twins import needs_compiled

_MANY = settings(max_examples=3 * settings().max_examples, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def shared() -> Iterator[Observer]:
    with project():
        made = Observer(registry=CollectorRegistry(), log_setup=False)
        yield made
        made.close()


def middleware_of(observer: Observer) -> Any:
    return django.ObservabilityMiddleware(lambda request: HttpResponse(), observer)


def made(kind: str, method: str = "GET", path: str = "/items/7") -> Any:
    """Return a request as Django's WSGI or ASGI handler makes it."""
    factory: Any = RequestFactory() if kind == "wsgi" else AsyncRequestFactory()
    return factory.generic(method, path, HTTP_HOST="shop.test")


# _start

_LENGTHS = st.sampled_from(
    [
        "",
        "0",
        "12",
        "0012",
        "9" * 15,
        "9" * 16,
        "-1",
        "1_0",
        " 3",
        "٣",
        "1.5",
        None,
        0,
        3,
        Text("3"),
        Text(""),
    ]
)
_PATHS = st.sampled_from([*["/items/7", "/é", "/"] * 3, "/health/live"])


@needs_compiled
@_MANY
@given(
    kind=st.sampled_from(["wsgi", "asgi"]),
    method=st.sampled_from(["GET", "get", "BREW"]),
    path=_PATHS,
    meta=st.fixed_dictionaries(
        {},
        optional={
            "CONTENT_LENGTH": _LENGTHS,
            "HTTP_X_REQUEST_ID": st.just("story-1"),
            "REMOTE_ADDR": st.sampled_from(["10.0.0.1", "", None]),
            "REMOTE_PORT": st.sampled_from(["5", 5, "x", None]),
        },
    ),
    scope=st.fixed_dictionaries(
        {},
        optional={
            "scheme": st.sampled_from(["https", "", None, Text("https")]),
            "http_version": st.sampled_from(["2", None]),
            "method": st.sampled_from(["GET", "get", ""]),
        },
    ),
    odd=st.sampled_from(
        [
            *("", "", "", "", "proxy", "outer", "nothing outer", "carried in META", "carried in scope"),
            *("META", "no META", "scope", "no scope", "lacks scope", "lacks method", "subclass"),
        ]
    ),
)
def test_an_exchange_is_begun_as_python_does(shared: Observer, **case: Any) -> None:
    both(started, observer=shared, **case)


def started(
    observer: Observer,
    kind: str,
    method: str,
    path: str,
    meta: dict[str, Any],
    scope: dict[str, Any],
    odd: str,
) -> Any:
    """Return what has become of a request and of its exchange."""
    request = made(kind, method, path)
    request.META |= meta
    if kind == "asgi":
        request.scope |= scope
    middleware = middleware_of(observer)
    if odd == "proxy":
        middleware._is_behind_proxy = True
    elif odd == "outer":
        request.obs_exchange = observer.start(middleware._info(request))
    elif odd == "nothing outer":
        request.obs_exchange = None
    elif odd == "carried in META":
        request.META[CARRIED_AS] = "no exchange"
    elif odd == "carried in scope":
        request.scope = {"method": method, CARRIED_AS: observer.start(middleware._info(request))}
    elif odd == "META":
        request.META = Changed(request.META)
    elif odd == "no META":
        request.META = UserDict(request.META)
    elif odd == "no scope":
        request.scope = UserDict(getattr(request, "scope", {"method": method}))
    elif odd == "scope":
        request.scope = Changed(getattr(request, "scope", {"method": method}))
    elif odd == "lacks scope":
        vars(request).pop("scope", None)
    elif odd == "lacks method":
        getattr(request, "scope", {}).pop("method", None)
    elif odd == "subclass":
        middleware = type("Own", (django.ObservabilityMiddleware,), {})(lambda _: HttpResponse(), observer)
    try:
        exchange = middleware._start(request)
    except Exception as error:
        return type(error), str(error)
    if exchange is None:
        return None
    assert request.obs_exchange is exchange
    info = exchange.info
    told = {name: getattr(info, name) for name in info.__struct_fields__ if name != "header"}
    exchange.finish()
    return told, info.header("host"), learnt(exchange)


class Changed(dict[str, Any]):
    """No exact dict."""


# _finish


class Raises(HttpResponse):
    """A response whose content, or status, can't be had."""

    error: type[BaseException] = ValueError

    @property
    def content(self) -> bytes:
        """Raise."""
        raise self.error("not rendered")

    @content.setter
    def content(self, value: bytes) -> None:
        """Do nothing."""


class Lengthless(HttpResponse):
    """A response whose content has no length."""

    content = property(lambda self: 5, lambda self, value: None)


def _without(name: str) -> HttpResponse:
    response = HttpResponse("hello")
    delattr(response, name)
    return response


def _plain() -> HttpResponse:
    response = HttpResponse("hello")
    response.headers = dict(response.headers)
    return response


def _odd() -> Any:
    response: Any = HttpResponse("hello")
    response.headers._store = UserDict(response.headers._store)
    return response


_RESPONSES: dict[str, Any] = {
    "text": lambda: HttpResponse("hello"),
    "json": lambda: JsonResponse({"a": 1}),
    "empty": lambda: HttpResponse(status=HTTPStatus.NO_CONTENT),
    "not modified": lambda: HttpResponse("hello", status=304),
    "error": lambda: HttpResponse("hello", status=503),
    "ours": lambda: HttpResponse("hello", headers={"x-request-id": "theirs"}),
    "related": lambda: HttpResponse("hello", headers={"X-Correlation-ID": "theirs"}),
    "both": lambda: HttpResponse("a", headers={"X-Correlation-ID": "theirs", "X-REQUEST-ID": "theirs"}),
    "stream": lambda: StreamingHttpResponse([b"hello"]),
    "raises": Raises,
    "lengthless": Lengthless,
    "plain headers": _plain,
    "odd headers": _odd,
    "no headers": lambda: _without("headers"),
    "nothing": lambda: None,
    "a text": lambda: "hello",
}
_MATCHES: dict[str, Any] = {
    "none": None,
    "route": type("Match", (), {"route": "items/<int:i>"})(),
    "pattern": type("Match", (), {"route": r"^notes/(?P<id>[0-9]+)/$"})(),
    "no route": type("Match", (), {"route": None})(),
    "lacks route": type("Match", (), {})(),
    "odd route": type("Match", (), {"route": ["items"]})(),
}


@needs_compiled
@_MANY
@given(
    kind=st.sampled_from(["wsgi", "asgi"]),
    method=st.sampled_from(["GET", "HEAD"]),
    response=st.sampled_from([*_RESPONSES, "text", "text", "text", "text"]),
    match=st.sampled_from([*_MATCHES, "route", "route"]),
    mount=st.sampled_from([None, "", "/shop", "/shop/", Text(""), 0]),
    route=st.sampled_from([None, "/set/by/hand"]),
    odd=st.sampled_from(["", "", "", "META", "finished", "lacks match", "names"]),
)
@example(kind="wsgi", method="GET", response="raises", match="route", mount="", route=None, odd="")
@example(kind="wsgi", method="GET", response="text", match="lacks route", mount="", route=None, odd="")
def test_a_response_is_finished_as_python_does(shared: Observer, **case: Any) -> None:
    both(finished, observer=shared, **case)


def finished(
    observer: Observer,
    kind: str,
    method: str,
    response: str,
    match: str,
    mount: Any,
    route: str | None,
    odd: str,
) -> Any:
    """Return what client, recorders and reports see of a response."""
    request = made(kind, method)
    request.META["HTTP_X_CORRELATION_ID"] = "story-1"
    middleware = middleware_of(observer)
    exchange = middleware._start(request)
    exchange.route = route
    request.resolver_match = _MATCHES[match]
    request.META["SCRIPT_NAME"] = mount
    if odd == "META":
        request.META = Changed(request.META)
    elif odd == "finished":
        exchange.finish()
    elif odd == "lacks match":
        vars(request).pop("resolver_match", None)
    elif odd == "names":
        middleware._names = [*middleware._names]
    reported: list[str] = []
    given = _RESPONSES[response]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observer, "report", lambda component, error: reported.append(f"{component} {error!r}"))
        back = middleware._finish(exchange, request, given)
    assert back is given
    headers = dict(getattr(given, "headers", {}))
    sent = {name: "*" if len(value) == 36 else value for name, value in headers.items()}
    told = learnt(exchange)
    if response != "stream":
        assert exchange.is_finished
    exchange.finish()
    return sent, told, reported


def test_what_stands_in_for_an_exchange_is_finished_too(shared: Observer) -> None:
    """By the Python function: nothing of it is where an Exchange has it."""
    called: list[str] = []
    exchange = SimpleNamespace(
        route="/a",
        has_body=True,
        response_headers=(("X-Request-ID", "a"), ("X-Correlation-ID", "b")),
        first_byte=lambda: called.append("first byte"),
        finish=lambda: called.append("finish"),
    )
    response = HttpResponse("hello")
    assert middleware_of(shared)._finish(exchange, made("wsgi"), response) is response
    assert (exchange.status, exchange.response_bytes, called) == (200, 5, ["first byte", "finish"])
    assert (response["x-request-id"], response["x-correlation-id"]) == ("a", "b")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_goes_on(shared: Observer, error: type[BaseException]) -> None:
    middleware, request = middleware_of(shared), made("wsgi")
    exchange = middleware._start(request)
    response = Raises()
    response.error = error
    with pytest.raises(error):
        middleware._finish(exchange, request, response)
    exchange.finish()


@needs_compiled
@pytest.mark.parametrize("name", Exchange.__struct_fields__)
def test_an_exchange_whose_fields_were_deleted_fails_as_python_does(shared: Observer, name: str) -> None:
    def play() -> Any:
        middleware, request, response = middleware_of(shared), made("asgi"), HttpResponse("hello")
        exchange = middleware._start(request)
        delattr(exchange, name)
        return error_of(lambda: middleware._finish(exchange, request, response)), learnt(exchange)

    both(play)


@needs_compiled
@pytest.mark.parametrize("name", ["_is_behind_proxy", "_marks", "_names", "observer"])
def test_a_middleware_whose_fields_were_deleted_fails_as_python_does(shared: Observer, name: str) -> None:
    def play() -> Any:
        middleware, request, response = middleware_of(shared), made("asgi"), HttpResponse("hello")
        exchange = middleware._start(request)
        delattr(middleware, name)
        started = error_of(lambda: middleware._start(made("asgi")).finish())
        return started, error_of(lambda: middleware._finish(exchange, request, response)), learnt(exchange)

    both(play)


def error_of(call: Any) -> str:
    """Return what a call raises, and nothing where it does not."""
    try:
        call()
    except AttributeError as error:
        return str(error)
    return ""
