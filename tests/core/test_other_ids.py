"""The IDs that other libraries give a request are its IDs, until its response starts."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator

import pytest
from asgi_correlation_id import correlation_id

from obs_middleware import current_exchange, other_ids, outgoing_headers
from tests.core.support import observer, request, started


@pytest.fixture(autouse=True)
def in_a_context() -> Iterator[None]:
    """Know of the libraries for one test, and leave nothing in their variables."""
    token = correlation_id.set(None)
    other_ids.look_for()
    yield
    other_ids.OTHER_IDS.clear()
    correlation_id.reset(token)


def test_the_id_of_another_library_is_the_requests() -> None:
    with started(observer()) as exchange:
        correlation_id.set("theirs")
        assert current_exchange() is exchange
        assert exchange.request_id == exchange.correlation_id == "theirs"
        assert outgoing_headers()["X-Request-ID"] == "theirs"


@pytest.mark.parametrize("theirs", ["", "not safe", "a\nb", "x" * 129, None, 7])
def test_an_unsafe_id_is_not_taken(theirs: str | None) -> None:
    with started(observer()) as exchange:
        ours = exchange.request_id
        correlation_id.set(theirs)
        current_exchange()
        assert exchange.request_id == ours


def test_a_correlation_id_of_the_callers_is_kept() -> None:
    with started(observer(), request(headers={"x-correlation-id": "story"})) as exchange:
        correlation_id.set("theirs")
        current_exchange()
        assert (exchange.request_id, exchange.correlation_id) == ("theirs", "story")


def test_an_id_that_the_request_before_has_left_is_not_taken() -> None:
    """In a task that serves one request after the other, nobody resets the variable."""
    own = observer()
    with started(own) as first:
        correlation_id.set("first")
        current_exchange()
        current_exchange()
        assert first.request_id == "first"
    with started(own) as second:
        current_exchange()
        assert second.request_id != "first"
        correlation_id.set("second")
        current_exchange()
        assert second.request_id == "second"


def test_an_id_that_the_caller_sends_twice_is_taken_twice() -> None:
    own = observer()
    for _ in range(2):
        with started(own, request(headers={"correlation-id": "the-same"})) as exchange:
            correlation_id.set("the-same")
            current_exchange()
            assert exchange.request_id == "the-same"


def test_an_id_that_comes_after_the_response_has_started_is_not_taken() -> None:
    with started(observer()) as exchange:
        ours, exchange.status = exchange.request_id, 200
        correlation_id.set("theirs")
        current_exchange()
        assert exchange.request_id == ours
        exchange.finish()
        exchange.take_other_id()
        assert exchange.record().request_id == ours


def test_a_library_that_raises_is_a_failure_of_ours() -> None:
    own = observer()

    def fails() -> str:
        raise RuntimeError

    other_ids.OTHER_IDS[:] = [fails]
    with started(own) as exchange:
        assert current_exchange() is exchange
    assert own.registry.get_sample_value("obs_internal_errors_total", {"component": "other_ids"}) == 1


def test_outside_of_asgi_correlation_id_no_header_is_added() -> None:
    assert contextvars.copy_context().run(other_ids.headers_added_around) == set()
