"""The exchange: ended once, with one outcome; current inside and put back by value."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import io
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context

from obs_middleware import Exchange, Outcome, RequestInfo, bind, current_exchange
from tests.core.support import internal_errors, observer, request, serve, started

DURATION_COUNT = "http_server_request_duration_seconds_count"


class Left(Exception):
    pass


class Owner:
    """Stands for the Observer."""

    response_header_names = id_header_names = "X-Request-ID", "X-Correlation-ID"
    perf_counter = staticmethod(time.perf_counter)

    def __init__(self, reported: list[tuple[str, Exception]]) -> None:
        self._reported = reported

    def report(self, component: str, error: Exception) -> None:
        self._reported.append((component, error))

    def redacted_path(self, path: str) -> str:
        return path

    def accepted_id(self, value: str | None) -> str | None:
        return value

    def capture_response_headers(self, exchange: Exchange, fields: Any) -> None:
        raise NotImplementedError

    def forget(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def attend_to_details(self, on_finish: Any) -> Any:
        raise NotImplementedError

    def left_out(self) -> Any:
        raise NotImplementedError


def exchange(
    *recorders: Any, info: RequestInfo | None = None
) -> tuple[Exchange, list[tuple[str, Exception]]]:
    reported: list[tuple[str, Exception]] = []
    own = Exchange(
        info or request(),
        [recorders],
        Owner(reported),
        method="GET",
        request_id="1",
        correlation_id="1",
        started_ns=time.time_ns(),
        started=time.perf_counter(),
    )
    return own, reported


# Finished


def test_exchange_ends_once_whoever_ends_it() -> None:
    ended: list[Exchange] = []
    own, _ = exchange(("test", ended.append))
    barrier = threading.Barrier(16)

    def finish() -> None:
        barrier.wait()
        own.finish()

    threads = [threading.Thread(target=finish) for _ in range(16)]
    assert not own.is_finished
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [own]
    assert own.is_finished


def test_what_is_learned_after_the_end_changes_nothing() -> None:
    own, _ = exchange()
    own.status = 200
    own.finish()
    duration = own.duration
    own.status, own.error = 500, ValueError()
    own.finish(is_complete=False)
    assert (own.outcome, own.error_type, own.duration) == (Outcome.OK, "", duration)
    assert own.duration > 0


def test_first_exception_seen_is_the_one_that_counts_and_none_is_kept_after_the_end() -> None:
    seen: list[BaseException | None] = []
    first = ValueError()
    own, _ = exchange(("test", lambda ended: seen.append(ended.error)))
    own.note_error(first)
    own.note_error(KeyError())
    own.finish()
    own.note_error(KeyError())
    assert (seen, own.error, own.error_type) == ([first], None, "ValueError")


@pytest.mark.parametrize(
    ("learned", "is_complete", "outcome", "error_type"),
    [
        ({"status": 200}, True, "ok", ""),
        ({"status": 404}, True, "ok", ""),
        ({"status": 499}, True, "ok", ""),
        ({"status": 101}, True, "ok", ""),
        ({"status": 500}, True, "error", "500"),
        ({"status": 503}, True, "error", "503"),
        ({"status": 503, "error": ValueError()}, True, "error", "ValueError"),
        ({"status": 500, "error": Left()}, True, "error", f"{__name__}.Left"),
        # A whole answer of less than 500 is a success, whatever came after it.
        ({"status": 200, "error": ValueError()}, True, "ok", ""),
        ({"status": 200, "is_client_gone": True}, True, "ok", ""),
        ({"status": 200, "is_cancelled": True}, True, "ok", ""),
        ({"status": 500, "is_client_gone": True}, True, "error", "500"),
        # Cut short.
        ({"status": 200}, False, "incomplete", "incomplete"),
        ({"status": 200, "error": ValueError()}, False, "error", "ValueError"),
        ({"status": 500}, False, "error", "500"),
        ({"status": 200, "is_client_gone": True}, False, "client_disconnect", "client_disconnect"),
        (
            {"status": 200, "is_client_gone": True, "error": OSError()},
            False,
            "client_disconnect",
            "client_disconnect",
        ),
        ({"status": 500, "is_client_gone": True}, False, "client_disconnect", "client_disconnect"),
        ({"status": 200, "is_cancelled": True}, False, "cancelled", "cancelled"),
        (
            {"status": 200, "is_cancelled": True, "is_client_gone": True},
            False,
            "client_disconnect",
            "client_disconnect",
        ),
        # No status was sent.
        ({}, True, "incomplete", "incomplete"),
        ({}, False, "incomplete", "incomplete"),
        ({"error": ValueError()}, True, "error", "ValueError"),
        ({"error": ValueError()}, False, "error", "ValueError"),
        ({"is_client_gone": True}, True, "client_disconnect", "client_disconnect"),
        ({"is_cancelled": True, "error": asyncio.CancelledError()}, False, "cancelled", "cancelled"),
    ],
)
def test_outcome_is_what_the_client_has_seen(
    learned: dict[str, Any], is_complete: bool, outcome: str, error_type: str
) -> None:
    own, _ = exchange()
    for name, value in learned.items():
        setattr(own, name, value)
    own.finish(is_complete=is_complete)
    assert own.outcome is not None
    assert own.outcome.value == outcome
    assert own.error_type == error_type


@pytest.mark.parametrize(
    ("method", "status", "declared", "sent", "error", "outcome"),
    [
        ("GET", 200, 3, 3, None, "ok"),
        ("GET", 200, 3, 2, None, "client_disconnect"),
        ("GET", 200, None, 3, None, "client_disconnect"),
        ("GET", 200, 3, 2, ValueError(), "error"),
        ("GET", None, None, 0, ValueError(), "error"),
        ("HEAD", 200, 3, 0, None, "ok"),
        ("GET", 204, None, 0, None, "ok"),
        ("GET", 304, 3, 0, None, "ok"),
    ],
)
def test_response_that_is_closed_early_has_lost_its_client(
    method: str, status: int | None, declared: int | None, sent: int, error: Exception | None, outcome: str
) -> None:
    own, _ = exchange(info=request(method))
    own.status, own.declared_bytes, own.response_bytes, own.error = status, declared, sent, error
    own.closed()
    assert own.outcome is not None
    assert own.outcome.value == outcome
    own.closed()
    assert own.outcome.value == outcome


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_record_has_no_bytes_where_no_body_may_follow(method: str, status: int) -> None:
    own, _ = exchange(info=request(method))
    own.status, own.response_bytes = status, 5
    own.finish()
    assert own.record().response_bytes == 0


def test_failing_recorder_is_reported_and_stops_no_other() -> None:
    ended: list[Exchange] = []
    failure = RuntimeError("ours")

    def fail(_: Exchange) -> None:
        raise failure

    own, reported = exchange(("broken", fail), ("fine", ended.append))
    own.finish()
    assert reported == [("broken", failure)]
    assert ended == [own]


def test_request_that_we_cannot_begin_is_run_without_us() -> None:
    def header(_: str) -> str:
        raise RuntimeError("no headers here")

    own = observer()
    assert own.gateway.start(RequestInfo("GET", "/", "", "http", header)) is None
    assert internal_errors(own, "start") == 1


class BrokenFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("the user's own filter")


@pytest.fixture
def broken_logging() -> Iterator[None]:
    root, broken = logging.getLogger(), BrokenFilter()
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(broken)
    root.addHandler(handler)
    yield
    root.removeHandler(handler)


@pytest.mark.usefixtures("broken_logging")
def test_broken_logging_of_the_user_breaks_no_request() -> None:
    own = observer()
    exchange = serve(own, route="/x", status=500)
    assert exchange.is_finished
    assert internal_errors(own, "access_log") == 1
    assert own.registry.get_sample_value(
        DURATION_COUNT,
        {
            "http_request_method": "GET",
            "http_route": "/x",
            "http_response_status_code": "500",
            "error_type": "500",
        },
    )


def test_first_byte_is_noted_once() -> None:
    own, _ = exchange()
    assert own.time_to_first_byte is None
    own.first_byte()
    first = own.time_to_first_byte
    own.first_byte()
    assert first is not None
    assert own.time_to_first_byte == first


# Current


def test_exchange_is_current_inside_and_what_was_before_is_put_back() -> None:
    outer, inner = started(observer()), started(observer())
    before = otel_context.get_current()
    with outer as entered:
        assert entered is outer
        assert current_exchange() is outer
        with inner:
            assert current_exchange() is inner
            assert otel_context.get_current() == inner.context
            with inner:
                assert current_exchange() is inner
            assert current_exchange() is inner
        assert current_exchange() is outer
        assert otel_context.get_current() == outer.context
    assert current_exchange() is None
    assert otel_context.get_current() == before


def test_exchange_is_put_back_when_the_app_raises() -> None:
    own = started(observer())
    with pytest.raises(Left), own:
        raise Left
    assert current_exchange() is None
    assert not own.is_finished


def test_exchange_that_is_left_in_another_context_than_it_was_entered_in_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = started(observer())
    other = contextvars.copy_context()
    own.__enter__()
    other.run(own.__exit__, None, None, None)
    assert other.run(current_exchange) is None
    assert current_exchange() is own
    with own:
        pass
    assert current_exchange() is own
    contextvars.copy_context().run(own.__enter__)
    own.__exit__(None, None, None)
    assert not caplog.records  # OpenTelemetry would say "Failed to detach context"


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Let no test leave its exchange to the next."""
    token = otel_context.attach(otel_context.get_current())
    yield
    otel_context.detach(token)
    from obs_middleware import exchange as module

    module.CURRENT.set(None)


def test_exchange_ends_in_a_thread_that_knows_nothing_of_it() -> None:
    own = observer()
    exchange = started(own)
    exchange.status = 200
    with exchange:
        thread = threading.Thread(target=exchange.finish)
        thread.start()
        thread.join()
    assert exchange.outcome is Outcome.OK
    assert internal_errors(own, "metrics") == internal_errors(own, "access_log") == 0


def test_exchange_is_seen_in_threads_with_a_copied_context_and_in_tasks_and_nowhere_else() -> None:
    seen: list[Exchange | None] = []

    async def look() -> None:
        seen.append(current_exchange())

    async def serve() -> None:
        await asyncio.create_task(look())
        await asyncio.to_thread(lambda: seen.append(current_exchange()))

    own = started(observer())
    with own:
        asyncio.run(serve())
        thread = threading.Thread(target=lambda: seen.append(current_exchange()), daemon=True)
        contextvars.Context().run(thread.start)
        thread.join()
    assert seen == [own, own, None]


def test_concurrent_requests_do_not_see_each_other() -> None:
    own = observer(access_log=False)

    async def serve(number: int) -> bool:
        exchange = started(own, request(path=f"/{number}"))
        with exchange:
            for _ in range(3):
                await asyncio.sleep(0)
                bind(number=number)
                if current_exchange() is not exchange:
                    return False
        return current_exchange() is None and exchange.fields == {"number": number}

    async def serve_all() -> list[bool]:
        return await asyncio.gather(*map(serve, range(200)))

    assert all(asyncio.run(serve_all()))


def test_bound_fields_belong_to_the_current_request_alone() -> None:
    first, second = started(observer()), started(observer())
    with first:
        bind(order=1, user="a")
        bind(order=2)
        with second:
            bind(order=3)
    assert first.fields == {"order": 2, "user": "a"}
    assert second.fields == {"order": 3}


# Response headers


def test_headers_of_the_app_win_and_ours_fill_in() -> None:
    own = started(observer(), request(headers={"x-request-id": "r", "x-correlation-id": "c"}))
    assert own.added_headers({}) == [("X-Request-ID", "r"), ("X-Correlation-ID", "c")]
    assert own.added_headers({"x-request-id": "own", "a": "b"}) == [("X-Correlation-ID", "c")]
    assert own.added_headers({"x-request-id": "own", "x-correlation-id": "own"}) == []


@pytest.mark.parametrize(
    ("length", "declared"),
    [
        ("12", 12),
        ("0", 0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("x", None),
        ("²", None),
        ("9" * 5000, None),
    ],
)
def test_length_that_the_app_declares_is_noted_when_it_is_one(length: str, declared: int | None) -> None:
    own = started(observer())
    own.added_headers({"content-length": length})
    assert own.declared_bytes == declared


def test_group_of_one_exception_is_that_one() -> None:
    class ExceptionGroup(Exception):
        """As the one that Python 3.10 has not."""

        def __init__(self, *exceptions: Exception) -> None:
            self.exceptions = exceptions

    told = []
    for error in (ExceptionGroup(ExceptionGroup(ValueError())), ExceptionGroup(ValueError(), KeyError())):
        exchange = started(observer())
        exchange.note_error(error)
        exchange.finish(is_complete=False)
        told.append(exchange.error_type.rpartition(".")[2])
    assert told == ["ValueError", "ExceptionGroup"]


@pytest.mark.parametrize("inner", [None, [], ["text"], "text", (ValueError(), 7)])
def test_exception_with_exceptions_of_its_own_is_itself(inner: object) -> None:
    class Mine(Exception):
        exceptions = inner

    exchange = started(observer())
    exchange.note_error(Mine())
    exchange.finish(is_complete=False)
    assert exchange.error_type.endswith("Mine")


def test_context_that_the_app_has_emptied_is_entered_empty() -> None:
    own, _ = exchange()
    own.context = otel_context.Context()
    token = otel_context.attach(otel_context.set_value("around", 1))
    try:
        with own:
            assert otel_context.get_current() == {}
        assert otel_context.get_value("around") == 1
    finally:
        otel_context.detach(token)


@pytest.mark.parametrize("status", ["200", b"", [], 200.5, object()])
def test_status_that_is_no_number_fails_no_request_and_leaves_none_active(status: Any) -> None:
    own = observer()
    serve(own, status=status)
    labels = {"http_request_method": "GET", "url_scheme": "http"}
    assert own.registry.get_sample_value("http_server_active_requests", labels) == 0


# IDs that the app gives the client itself


@pytest.mark.parametrize(
    ("callers", "given", "wanted"),
    [
        ({}, ("theirs", None, None), ("theirs", "theirs")),
        ({}, (None, "theirs", None), ("own", "theirs")),
        ({}, (None, None, "theirs"), ("own", "theirs")),  # django-guid's header
        ({}, ("one", "two", "three"), ("one", "two")),
        ({}, ("not safe", "<script>", "a,b"), ("own", "own")),
        ({"x-correlation-id": "story"}, ("theirs", None, "other"), ("theirs", "story")),
    ],
)
def test_ids_that_the_app_gives_the_client_are_those_of_the_exchange(
    callers: dict[str, str],
    given: tuple[str | None, str | None, str | None],
    wanted: tuple[str, str],
) -> None:
    exchange = started(observer(access_log=False), request(headers=callers))
    own = exchange.request_id
    exchange.take_ids(*given)
    assert (exchange.request_id, exchange.correlation_id) == tuple(
        own if one == "own" else one for one in wanted
    )


# Copied


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copy_is_the_exchange_itself(copied: Any) -> None:
    """A layer that copies a scope or an environ serves the same request."""
    own = started(observer())
    holder = {"obs.exchange": own, "headers": [(b"a", b"1")]}
    assert copied(holder)["obs.exchange"] is own
    assert copied(own) is own


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_exchange_comes_back_inert(protocol: int) -> None:
    """It has the IDs and tells no secret; what is noted on it changes nothing."""
    own = started(observer(), request(path="/reset/token=abcdef123456", headers={"x-request-id": "r-1"}))
    own.route = "/reset/{token}"
    other: Any = pickle.loads(pickle.dumps(own, protocol))
    assert (other.method, other.request_id, other.ids) == (own.method, "r-1", own.ids)
    assert (other.route, other.path) == ("/reset/{token}", own.path)
    assert other.info.header("host") is None
    assert other.is_finished
    other.note_error(ValueError())
    other.name_route("/other")
    other.finish()
    with other:
        assert repr(current_exchange()) == repr(other)
    assert (other.error, other.route, own.is_finished) == (None, "/reset/{token}", False)
    assert "r-1" in repr(other)


# Named from inside


def test_inner_adapter_names_the_route_once_below_its_root() -> None:
    own = started(observer())
    own.name_route(None)
    assert own.route is None
    own.name_route("/orders/<int:number>", "/old/")
    own.name_route("/later")
    assert own.route == "/old/orders/<int:number>"
    own.finish()


def test_route_that_the_user_has_named_stays() -> None:
    own = started(observer())
    own.route = "/mine"
    own.name_route("/orders")
    assert own.route == "/mine"


class Cancelled(BaseException):
    """As trio's."""

    __module__ = "trio"


class GreenletExit(BaseException):
    """As greenlet's."""

    __module__ = "greenlet"


class Timeout(BaseException):
    """As gevent's."""

    __module__ = "gevent.timeout"


class BaseExceptionGroup(BaseException):
    """As the one that Python 3.10 has not."""

    __module__ = "builtins"

    def __init__(self, *exceptions: BaseException) -> None:
        self.exceptions = exceptions


@pytest.mark.parametrize(
    ("raised", "outcome", "error_type"),
    [
        (asyncio.CancelledError(), "cancelled", "cancelled"),
        (GeneratorExit(), "cancelled", "cancelled"),
        (Cancelled(), "cancelled", "cancelled"),
        (GreenletExit(), "cancelled", "cancelled"),
        (type("Mine", (asyncio.CancelledError,), {})(), "cancelled", "cancelled"),
        (BaseExceptionGroup(Cancelled(), Cancelled()), "cancelled", "cancelled"),
        (BaseExceptionGroup(Cancelled(), ValueError()), "error", "BaseExceptionGroup"),
        (BaseExceptionGroup(SystemExit()), "error", "SystemExit"),
        (SystemExit(3), "error", "SystemExit"),
        (KeyboardInterrupt(), "error", "KeyboardInterrupt"),
        (Timeout(), "error", "gevent.timeout.Timeout"),
        (BaseException(), "error", "BaseException"),
        (ValueError(), "error", "ValueError"),
    ],
)
def test_only_a_cancellation_is_cancelled(raised: BaseException, outcome: str, error_type: str) -> None:
    """Whatever else ends a request is an error that has the name of its class."""
    own = started(observer())
    own.note_raised(raised)
    own.finish(is_complete=False)
    assert own.outcome is not None
    assert (own.outcome.value, own.error_type.removeprefix(f"{__name__}.")) == (outcome, error_type)
