"""Django: odd input, responses that are shared or that nobody closes, errors with no page, copied requests."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

import pytest
from asgiref.wsgi import WsgiToAsgi
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from obs_asgi import ObservabilityMiddleware as AsgiMiddleware
from obs_django import get_observer
from obs_wsgi import ObservabilityMiddleware as WsgiMiddleware
from tests.adapters import django_project
from tests.adapters.asgi import get
from tests.adapters.django_project import MIDDLEWARE, asgi_app, project, wsgi_app
from tests.adapters.test_django import told
from tests.adapters.wsgi import Call, call

ONCE: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _started() -> None:
    """Have Django set up, because tests make responses before they have a project."""
    django_project.start()


class Timeout(BaseException):
    """As gevent's."""


def once(request: HttpRequest) -> HttpResponse:
    return ONCE["response"]


@lru_cache
def _page(number: int) -> HttpResponse:
    return HttpResponse(f"page {number}")


def cached(request: HttpRequest, number: int) -> HttpResponse:
    return _page(number)


def status_of(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("fine")
    response.status_code = ONCE["status"]
    return response


def times_out(request: HttpRequest) -> HttpResponse:
    raise ONCE["error"]


def sized(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(ONCE["pieces"]), headers={"Content-Length": "6"})


def fails_in_mid_stream(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ONCE["error"]

    return StreamingHttpResponse(pieces())


def boom(request: HttpRequest, number: int) -> HttpResponse:
    raise LookupError("nothing there")


def batch(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ONCE["batch"](request))


def part(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse("part") if number != 3 else boom(request, number)


def broken_page(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("database is gone")


handler500 = broken_page
urlpatterns = [
    path("once", once),
    path("cached/<int:number>", cached),
    path("status", status_of),
    path("times-out", times_out),
    path("sized", sized),
    path("fails", fails_in_mid_stream),
    path("boom/<int:number>", boom),
    path("batch", batch),
    path("part/<int:number>", part),
]
HERE = {"ROOT_URLCONF": __name__}


# Shared responses


@pytest.mark.parametrize("target", ["/once", "/cached/1"])
def test_each_client_of_a_shared_response_has_the_id_of_its_request(access: list[Any], target: str) -> None:
    ONCE["response"] = HttpResponse("the same for all")
    _page.cache_clear()
    with project(**HERE):
        answers = [call(wsgi_app(), target) for _ in range(3)]
        answers.append(call(wsgi_app(), target, HTTP_X_REQUEST_ID="mine", HTTP_X_CORRELATION_ID="order"))
        asynchronous = get(asgi_app(), target, headers=[(b"host", b"shop.test")])
    ids = [done.all("x-request-id") for done in answers] + [asynchronous.all("x-request-id")]
    assert ids == [[line.request_id] for line in access]
    assert answers[3].all("x-correlation-id") == ["order"]
    assert len({str(one) for one in ids}) == 5
    assert len({done.sent for done in answers}) == 1


def test_a_header_that_the_app_has_set_on_a_shared_response_stays(access: list[Any]) -> None:
    ONCE["response"] = HttpResponse("fixed", headers={"X-Request-ID": "fixed", "X-Own": "1"})
    ONCE["response"].set_cookie("a", "b")
    with project(**HERE):
        answers = [call(wsgi_app(), "/once") for _ in range(3)]
    assert [done.all("x-request-id") for done in answers] == [["fixed"]] * 3
    assert [[*done.all("x-own"), done.all("set-cookie")[0].strip()] for done in answers] == [
        ["1", "a=b; Path=/"]
    ] * 3
    assert [done.all("x-correlation-id") for done in answers] == [[line.correlation_id] for line in access]


def test_a_shared_response_with_headers_of_another_kind(access: list[Any]) -> None:
    ONCE["response"] = HttpResponse("the same for all")
    with project(MIDDLEWARE=[MIDDLEWARE, f"{django_project.__name__}.plain_headers"], **HERE):
        ids = [call(wsgi_app(), "/once").all("x-request-id") for _ in range(3)]
    assert ids == [[line.request_id] for line in access]


def test_many_threads_may_share_a_response(access: list[Any]) -> None:
    """What one thread sends is not changed by another."""
    ONCE["response"] = HttpResponse("the same for all")
    found: list[tuple[str, list[str]]] = []
    with project(**HERE):
        app = wsgi_app()

        def ask(name: str) -> None:
            for at in range(20):
                own = f"{name}-{at}"
                found.append((own, call(app, "/once", HTTP_X_REQUEST_ID=own).all("x-request-id")))

        call(app, "/once")
        threads = [threading.Thread(target=ask, args=(f"thread{at}",)) for at in range(4)]
        [thread.start() for thread in threads]  # type: ignore[func-returns-value]
        [thread.join() for thread in threads]  # type: ignore[func-returns-value]
    assert [ids for _, ids in found] == [[own] for own, _ in found]


# Odd input


@pytest.mark.parametrize("length", [5, "5", None, 5.0])
def test_a_length_may_be_odd(access: list[Any], length: Any) -> None:
    odd: Any = {"CONTENT_LENGTH": length, "REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"12345")}
    with project():
        assert call(wsgi_app(), "/upload", **odd).status == 200
        get_observer().close()
    assert [line.status for line in access] == [200]
    assert access[0].request_bytes in (0, 5)


@pytest.mark.parametrize(
    ("name", "value"), [("HTTP_USER_AGENT", b"x"), ("REMOTE_ADDR", 7), ("SERVER_PROTOCOL", 1)]
)
def test_odd_variables_change_no_answer(access: list[Any], name: str, value: Any) -> None:
    with project():
        assert call(wsgi_app(), "/items/7", **{name: value}).status == 200
    assert [line.status for line in access] == [200]


# Errors


@pytest.mark.parametrize("propagates", [True, False])
def test_a_page_of_an_error_that_fails_too_is_a_500(access: list[Any], propagates: bool) -> None:
    with project(DEBUG_PROPAGATE_EXCEPTIONS=propagates, **HERE):
        assert call(wsgi_app(), "/boom/7").error is not None
        get(asgi_app(), "/boom/7", headers=[(b"host", b"shop.test")])
    assert [told(line) for line in access] == [("/boom/<int:number>", 500, "error", "LookupError")] * 2


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), Timeout()], ids=repr)
@pytest.mark.parametrize("target", ["/times-out", "/fails"])
def test_what_is_no_exception_and_no_cancellation_is_an_error(
    access: list[Any], error: BaseException, target: str
) -> None:
    ONCE["error"] = error
    with project(**HERE), pytest.raises(type(error)):
        call(wsgi_app(), target)
    assert [(line.route, line.outcome, line.levelname) for line in access] == [(target, "error", "ERROR")]
    assert access[0].error_type.endswith(type(error).__name__)
    assert access[0].status == (200 if target == "/fails" else None)


@pytest.mark.parametrize("target", ["/times-out", "/fails"])
def test_the_end_of_a_generator_is_a_cancellation(access: list[Any], target: str) -> None:
    ONCE["error"] = GeneratorExit()
    with project(**HERE), pytest.raises(GeneratorExit):
        call(wsgi_app(), target)
    assert [(line.outcome, line.levelname) for line in access] == [("cancelled", "INFO")]


# Streams


@pytest.mark.parametrize(
    "pieces", [[b"one", b"two"], ["one", "two"], [memoryview(b"one"), b"two"], [123, "456"]]
)
def test_a_stream_that_nobody_closes_ends_when_it_is_dropped(access: list[Any], pieces: Any) -> None:
    """asgiref's WsgiToAsgi stops at the declared length; whatever Django makes bytes of is counted."""
    ONCE["pieces"] = pieces

    with project(**HERE):
        gc.collect()
        gc.disable()
        try:
            answer = get(WsgiToAsgi(wsgi_app()), "/sized", headers=[(b"host", b"shop.test")])
            assert len(answer.body) == 6
            if sys.version_info < (3, 11):
                gc.collect()  # Django's look at its databases leaves a cycle there, which holds frames
            assert [(*told(line), line.response_bytes) for line in access] == [("/sized", 200, "ok", None, 6)]
        finally:
            gc.enable()


def test_a_stream_that_is_dropped_short_of_its_end_is_a_disconnect(access: list[Any]) -> None:
    ONCE["pieces"] = [b"one", b"two"]
    with project(**HERE):
        pieces = iter(Call(wsgi_app(), "/sized").begin())
        assert next(pieces) == b"one"
        del pieces
        gc.collect()
    assert [(line.outcome, line.response_bytes) for line in access] == [("client_disconnect", 3)]


def test_an_async_stream_of_text_is_counted(access: list[Any]) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "é"
        yield "è"

    ONCE["response"] = StreamingHttpResponse(pieces())
    with project(**HERE):
        answer = get(asgi_app(), "/once", headers=[(b"host", b"shop.test")])
    assert answer.body == "éè".encode()
    assert [(line.outcome, line.response_bytes) for line in access] == [("ok", 4)]


# Requests in the hands of others


def by_copied_request(request: HttpRequest, number: int) -> str:
    """Run a copy of the request through the middleware again, as batch endpoints do."""
    from django.core.handlers.base import BaseHandler

    handler = BaseHandler()
    handler.load_middleware()
    again = copy.copy(request)
    again.path_info = again.path = f"/part/{number}"
    return str(handler.get_response(again).status_code)


def by_copied_environ(request: HttpRequest, number: int) -> str:
    environ = {**request.META, "PATH_INFO": f"/part/{number}", "wsgi.input": io.BytesIO()}
    done = Call(wsgi_app())
    done.environ = environ
    return str(done.run().status)


@pytest.mark.parametrize("how", [by_copied_request, by_copied_environ])
@pytest.mark.parametrize("around", [None, WsgiMiddleware])
@pytest.mark.parametrize("number", [1, 4])
def test_a_part_of_a_batch_changes_nothing(access: list[Any], how: Any, around: Any, number: int) -> None:
    """With another of us around Django, and with none."""
    ONCE["batch"] = lambda request: how(request, number)
    with project(**HERE):
        app = wsgi_app() if around is None else around(wsgi_app(), get_observer())
        assert call(app, "/batch").sent == b"200"
    assert [told(line) for line in access if line.path == "/batch"] == [("/batch", 200, "ok", None)]


def test_a_request_may_be_copied_and_pickled(access: list[Any]) -> None:
    def copies(request: HttpRequest) -> str:
        assert copy.copy(request).obs_exchange is request.obs_exchange
        plain = {name: value for name, value in request.META.items() if not name.startswith("wsgi.")}
        copy.deepcopy(plain)
        pickle.dumps(plain)
        return "fine"

    ONCE["batch"] = copies
    with project(**HERE):
        assert call(WsgiMiddleware(wsgi_app(), get_observer()), "/batch").sent == b"fine"
    assert [told(line) for line in access] == [("/batch", 200, "ok", None)]


@pytest.mark.parametrize("copied", [lambda given: given, dict])
def test_another_of_us_around_django_has_the_route(access: list[Any], copied: Any) -> None:
    """Also where a layer between hands on a copy."""
    with project():
        inner = wsgi_app()
        outer = WsgiMiddleware(lambda environ, start: inner(copied(environ), start), get_observer())
        assert call(outer, "/items/7").status == 200
        assert call(outer, "/items/7", SCRIPT_NAME="/shop").status == 200
        asynchronous = asgi_app()

        async def between(scope: Any, receive: Any, send: Any) -> None:
            await asynchronous(copied(scope), receive, send)

        get(AsgiMiddleware(between, get_observer()), "/items/7", headers=[(b"host", b"shop.test")])
    assert [line.route for line in access] == ["/items/<int:i>", "/shop/items/<int:i>", "/items/<int:i>"]


def test_error_that_django_hands_on_to_another_of_us_has_its_name_and_route(access: list[Any]) -> None:
    with project(DEBUG_PROPAGATE_EXCEPTIONS=True, **HERE):
        done = call(WsgiMiddleware(wsgi_app(), get_observer()), "/boom/7")
    assert isinstance(done.error, LookupError)
    assert [told(line) for line in access] == [("/boom/<int:number>", 500, "error", "LookupError")]


def replaced_match(get_response: Any) -> Any:
    """Be a middleware that has a resolver of its own."""

    def answer(request: HttpRequest) -> Any:
        response = get_response(request)
        request.resolver_match = object()
        return response

    return answer


def test_match_that_is_not_djangos_costs_the_route_alone(access: list[Any]) -> None:
    """Alone, and with another of us around Django."""
    with project(MIDDLEWARE=[MIDDLEWARE, f"{__name__}.replaced_match"]):
        for app in (wsgi_app(), WsgiMiddleware(wsgi_app(), get_observer())):
            assert call(app, "/items/7").sent == b"item 7"
    assert [told(line) for line in access] == [(None, 200, "ok", None)] * 2


@pytest.mark.filterwarnings("ignore:async_to_sync was passed")
@pytest.mark.parametrize("is_inside", [True, False])
def test_setting_that_django_cannot_use_changes_no_answer(access: list[Any], is_inside: bool) -> None:
    """`request.scheme` raises then; inside a bridge nobody can tell whose request it is."""
    with project(SECURE_PROXY_SSL_HEADER="HTTP_X_FORWARDED_PROTO", **HERE):
        if is_inside:
            app = AsgiMiddleware(WsgiToAsgi(wsgi_app()), get_observer())
            assert get(app, "/cached/7", headers=[(b"host", b"shop.test")]).body == b"page 7"
        else:
            assert call(wsgi_app(), "/cached/7").sent == b"page 7"
    assert [told(line) for line in access] == [(None, 200, "ok", None)] * is_inside


@pytest.mark.filterwarnings("ignore:async_to_sync was passed")
def test_django_inside_a_bridge_is_one_request(access: list[Any]) -> None:
    """asgiref makes a new environ and runs Django in a thread."""
    with project():
        app = AsgiMiddleware(WsgiToAsgi(wsgi_app()), get_observer())
        answer = get(app, "/items/7", headers=[(b"host", b"shop.test")])
    assert len(answer.all("x-request-id")) == 1
    assert [told(line) for line in access] == [("/items/<int:i>", 200, "ok", None)]
