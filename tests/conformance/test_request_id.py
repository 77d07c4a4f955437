"""Request ID."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.apps.probe import CATCH_ALL_STATUS, COOKIES, OWN_ID, Options
from tests.conformance.front_ends import MAX_BODY_BYTES, FrontEnd
from tests.conformance.messages import Response
from tests.conformance.probes import Probe

OF_GATEWAYS = (
    "63b1dc6e-2f4a-4a1f-a2c6-2b8f0f8c7f0a#48",  # Kong
    "|4bf92f3577b34da6.a1b2c3d4_1.",  # Azure
    "105445aa7843bc8bf206b12000100000/1;o=1",  # Google
    "Root=1-67891233-abcdef012345678912345678;Sampled=1",  # AWS
)
HOSTILE = (
    "",
    " ",
    "a b",
    "x" * 129,
    "a\tb",
    "ä",
    "<script>",
    "a,b",
    "'; drop",
    "${jndi:ldap://x}",
    "a%0d%0ab",
)


def test_a_request_gets_an_id_that_sorts_by_time(app: Probe) -> None:
    """A request gets an ID (UUID version 7), which its response and its access line carry."""
    ids = [app.get("/items/1").request_id for _ in range(3)]
    assert [uuid.UUID(one).version for one in ids] == [7, 7, 7]
    assert {line["request_id"] for line in app.access_lines(3)} == set(ids)
    assert len(set(ids)) == 3
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids), "milliseconds come first"


def test_the_callers_id_is_kept(app: Probe) -> None:
    """A caller's safe ID is kept."""
    for given in ("abc-123", "A" * 128, "a.b_c~d:e/f+g=h@i", str(uuid.uuid4()), *OF_GATEWAYS):
        assert app.get("/items/1", ("X-Request-ID", given)).request_id == given


@pytest.mark.parametrize("given", HOSTILE)
def test_a_bad_id_is_replaced(app: Probe, given: str) -> None:
    """A caller's bad ID is replaced, and the request served."""
    response = app.get("/items/1", ("X-Request-ID", given), ("X-Correlation-ID", given))
    assert (response.status, response.body) == (200, b"item 1")
    assert uuid.UUID(response.request_id).version == 7
    assert response.one("x-correlation-id") == response.request_id


def test_a_repeated_id_is_replaced_or_one_of_them(app: Probe) -> None:
    """Two IDs of a caller end in one."""
    response = app.get("/items/1", ("X-Request-ID", "one"), ("X-Request-ID", "two"))
    assert response.status == 200
    assert "," not in response.request_id


def test_the_correlation_id_goes_on(app: Probe) -> None:
    """A caller's correlation ID is kept; without one it is the request ID."""
    response = app.get("/items/1", ("X-Correlation-ID", "story-1"))
    assert response.one("x-correlation-id") == "story-1" != response.request_id
    response = app.get("/items/1")
    assert response.one("x-correlation-id") == response.request_id
    assert {line["correlation_id"] for line in app.access_lines(2)} == {"story-1", response.request_id}


def test_no_callers_id_is_taken_where_callers_are_not_trusted(serve: Any) -> None:
    """No caller's ID is taken, where `trust_request_ids` is off."""
    app = serve(trust_request_ids=False)
    response = app.get("/items/1", ("X-Request-ID", "abc"), ("X-Correlation-ID", "story-1"))
    assert uuid.UUID(response.request_id).version == 7
    assert response.one("x-correlation-id") == response.request_id


def test_the_correlation_id_is_not_sent_where_it_is_switched_off(serve: Any) -> None:
    """No correlation ID goes to the client, where `send_correlation_id` is off; the access line has it."""
    app = serve(send_correlation_id=False)
    response = app.get("/items/1", ("X-Correlation-ID", "story-1"))
    assert (response.all("x-correlation-id"), response.all("")) == ([], [])
    assert [line["correlation_id"] for line in app.access_lines(1)] == ["story-1"]
    assert len(response.all("x-request-id")) == 1


@pytest.mark.parametrize(("form", "shown"), [("truncated", "127.0.0.0"), ("none", None)])
def test_the_clients_address_is_logged_as_far_as_it_may_be(serve: Any, form: str, shown: str | None) -> None:
    """The client's address is logged as far as `client_address` allows."""
    app = serve(client_address=form)
    app.get("/items/1")
    assert [line["client"] for line in app.access_lines(1)] == [shown]


def test_the_header_has_the_name_that_is_set(serve: Any) -> None:
    """Both headers can have other names."""
    app = serve(request_id_header="X-Trace-Token", correlation_id_header="X-Story")
    response = app.get("/items/1", ("X-Trace-Token", "abc"), ("X-Story", "def"))
    assert (response.one("x-trace-token"), response.one("x-story")) == ("abc", "def")
    assert response.all("x-request-id") == []


@pytest.mark.parametrize(
    "target", ["/nothing", "/slashed/1", "/stream", "/session", "/teapot", "/stream/broken"]
)
def test_every_response_has_the_id_once(app: Probe, target: str) -> None:
    """The ID is on 404s, redirects, streams and client errors too, once."""
    _has_the_id_once(app, app.get(target))


def test_a_refused_method_has_the_id(app: Probe) -> None:
    """The ID is on a 405."""
    response = app.get("/items/1", method="DELETE")
    assert response.status == 405
    _has_the_id_once(app, response)


def test_a_handled_error_has_the_id(app: Probe) -> None:
    """The ID is on a 500 that the app made itself."""
    response = app.get("/handled")
    assert (response.status, response.body) == (500, b"handled")
    _has_the_id_once(app, response)


def test_an_unhandled_error_has_the_id(app: Probe) -> None:
    """The ID is on the 500 of an exception that nobody handled."""
    response = app.get("/boom")
    assert response.status == 500
    _has_the_id_once(app, response)


def test_the_answer_of_a_handler_for_every_exception_has_the_id(serve: Any) -> None:
    """The ID is on the answer of the app's handler for every exception."""
    app = serve(Options(catch_all=True))
    response = app.get("/boom")
    assert (response.status, response.body) == (CATCH_ALL_STATUS, b"caught")
    _has_the_id_once(app, response)


@pytest.mark.needs("early rejection")
def test_an_early_rejection_has_the_id(serve: Any, front_end: FrontEnd) -> None:
    """The ID is on a refusal that the framework makes before routing."""
    app = serve(Options(max_body_bytes=MAX_BODY_BYTES))
    request, status = front_end.early_rejection
    response = app.send(request)
    assert response.status == status
    _has_the_id_once(app, response)
    assert app.access_line()["status"] == status


def test_the_apps_own_header_wins(app: Probe) -> None:
    """An ID that the app sets itself wins, and is there once."""
    response = app.get("/own-id", ("X-Request-ID", "from-the-caller"))
    assert response.request_id == OWN_ID
    assert response.one("x-correlation-id") == OWN_ID
    line = app.access_line()
    assert (line["request_id"], line["correlation_id"]) == (OWN_ID, OWN_ID)


def test_the_apps_other_headers_stay(app: Probe, front_end: FrontEnd) -> None:
    """The app's other headers stay as they are, repeated ones too."""
    response = app.get("/session")
    assert response.status == 401
    assert response.one("www-authenticate") == "Basic"
    assert [value.partition(";")[0] for value in response.all("set-cookie")] == list(COOKIES)


def _has_the_id_once(app: Probe, response: Response) -> None:
    assert response.request_id == response.one("x-correlation-id")
    assert app.access_line()["request_id"] == response.request_id
