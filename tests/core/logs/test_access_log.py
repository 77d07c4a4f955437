"""The access line: one for each exchange, at its level, for everybody who listens."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest

from obs_middleware import Settings, bind, current_exchange
from obs_middleware.logs import JsonFormatter
from obs_middleware.logs.fields import ACCESS_FIELDS, extras
from tests.core.logs.support import SECRET
from tests.core.support import Output, caught, observer, request, serve, started, strict_json


def access_lines(**settings: Any) -> Any:
    return caught("obs.access", formatter=JsonFormatter(settings=Settings(**settings)))


def test_access_line_says_what_became_of_the_exchange() -> None:
    with access_lines() as handler:
        exchange = started(observer(), request("POST", "/items/7", "a=1", headers={"user-agent": "curl/8"}))
        bind(ignored="outside")
        exchange.fields["tenant"] = "acme"
        exchange.route, exchange.status, exchange.request_bytes, exchange.response_bytes = (
            "/items/{i}",
            201,
            3,
            5,
        )
        exchange.first_byte()
        exchange.finish()
    found = strict_json(handler.lines[0])
    assert {
        key: found[key] for key in found if key not in ("timestamp", "hostname", "service", "environment")
    } == {
        "level": "INFO",
        "logger": "obs.access",
        "message": "POST /items/7 201",
        "request_id": exchange.request_id,
        "correlation_id": exchange.correlation_id,
        "trace_id": exchange.trace_id,
        "span_id": exchange.span_id,
        "tenant": "acme",
        "method": "POST",
        "path": "/items/7",
        "route": "/items/{i}",
        "status": 201,
        "outcome": "ok",
        "duration_ms": round(exchange.duration * 1000, 3),
        "ttfb_ms": round((exchange.time_to_first_byte or 0) * 1000, 3),
        "request_bytes": 3,
        "response_bytes": 5,
        "client": "192.0.2.1",
        "user_agent": "curl/8",
        "error_type": None,
    }


@pytest.mark.parametrize(
    ("seen", "level", "message", "error_type"),
    [
        ({"status": 404}, "INFO", "GET /items/7 404", None),
        ({"status": 500, "error": ValueError()}, "WARNING", "GET /items/7 500", "ValueError"),
        ({"status": 503}, "ERROR", "GET /items/7 503", "503"),
        (
            {"status": None, "is_client_gone": True, "is_complete": False},
            "INFO",
            "GET /items/7 -",
            "client_disconnect",
        ),
    ],
)
def test_access_line_of_a_failed_exchange_is_an_error_unless_its_exception_has_a_line_of_its_own(
    seen: dict[str, Any], level: str, message: str, error_type: str
) -> None:
    with access_lines() as handler:
        serve(observer(), **seen)
    found = strict_json(handler.lines[0])
    assert (found["level"], found["message"], found["error_type"]) == (level, message, error_type)
    assert found["ttfb_ms"] is None


def test_access_line_is_hostile_input_made_harmless() -> None:
    path = f"/a\r\nFAKE \ud800 {SECRET}/jane@example.org/" + "x" * 1_000_000
    with access_lines() as handler:
        serve(
            observer(),
            request("BREW\n", path, headers={"user-agent": f"Bearer {SECRET}" + "x" * 1_000_000}, peer=None),
        )
    found = strict_json(handler.lines[0])
    assert len(handler.lines[0]) < 10_000
    assert (found["method"], found["client"]) == ("_OTHER", None)
    assert "jane" not in handler.lines[0]
    assert SECRET not in found["user_agent"]


@pytest.mark.parametrize(
    "name", ["path", "status", "outcome", "duration_ms", "client", "user_agent", "request_id", "message"]
)
def test_bound_field_never_takes_the_place_of_the_access_lines_own(name: str) -> None:
    with access_lines() as handler:
        exchange = started(observer())
        with exchange:
            bind(**{name: "bound"})
        exchange.status = 200
        exchange.finish()
    found = strict_json(handler.lines[0])
    assert found[name] != "bound"
    assert found[f"field_{name}"] == "bound"


def test_access_line_can_be_turned_off_and_filtered_by_level() -> None:
    with access_lines() as handler:
        serve(observer(access_log=False))
        logging.getLogger("obs.access").setLevel(logging.ERROR)
        serve(observer())
        serve(observer(), status=500)
    assert len(handler.lines) == 1


def test_client_begins_no_line_of_its_own_in_a_plain_log() -> None:
    with caught("obs.access", formatter=logging.Formatter("%(message)s %(path)s %(user_agent)s")) as handler:
        serve(
            observer(),
            request("GET", "/x\nCRITICAL root admin\x1b[2J\u2028\x85", headers={"user-agent": "a\rb\x9b"}),
        )
    (line,) = handler.lines
    assert line.isprintable()
    assert r"/x\x0aCRITICAL" in line


# Lines that wait


def test_line_comes_soon_though_nobody_follows(output: Output) -> None:
    serve(observer(), route="/a")
    assert output.wait_for(1) == ["GET /items/7 200"]


def test_line_of_the_app_follows_the_access_lines_before_it(output: Output) -> None:
    own = observer()
    serve(own)
    logging.getLogger("shop").info("later")
    assert output.messages() == ["GET /items/7 200", "later"]


def test_line_of_an_error_follows_those_that_waited(output: Output) -> None:
    own = observer()
    serve(own)
    serve(own, status=500)
    assert output.messages() == ["GET /items/7 200", "GET /items/7 500"]


def test_another_handler_has_its_record_at_once_and_inside_the_request(output: Output) -> None:
    seen: list[tuple[str, Any]] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), current_exchange()))

    own = observer()
    exchange = started(own)
    exchange.status = 200
    logging.getLogger().handlers.append(Listening())
    with exchange:
        exchange.finish()
    assert seen == [("GET /items/7 200", exchange)]
    assert output.messages() == ["GET /items/7 200"]


@pytest.mark.usefixtures("flusher")
def test_handler_that_joins_while_a_line_waits_has_it_too(output: Output) -> None:
    seen: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(f"{record.getMessage()} {record.__dict__['route']}")

    own = observer()
    serve(own, route="/a")
    logging.getLogger().handlers.append(Listening())
    own.close()
    assert seen == ["GET /items/7 200 /a"]
    assert output.messages() == ["GET /items/7 200"]


@pytest.mark.usefixtures("flusher")
def test_line_that_waits_while_its_level_is_switched_off_is_not_written(output: Output) -> None:
    own = observer()
    serve(own)
    serve(own)
    assert output.messages() == []
    logging.getLogger("obs.access").setLevel(logging.ERROR)
    try:
        own.close()
    finally:
        logging.getLogger("obs.access").setLevel(logging.NOTSET)
    assert output.messages() == []


def test_line_of_a_hostile_path_that_waits_among_others_is_cut_and_they_stay_whole(output: Output) -> None:
    own, hostile = observer(), "/" + "\x00" * 5000
    for path in (hostile, "/a", hostile, "/b"):
        serve(own, request(path=path))
    own.close()
    assert max(map(len, output.bytes.getvalue().splitlines())) < 16_384
    paths = [line["path"] for line in output.lines()]
    assert [path for path in paths if not path.endswith("…[cut]")] == ["/a", "/b"]
    assert [line["status"] for line in output.lines()] == [200] * 4


def test_record_of_the_access_line_has_its_fields_and_nothing_of_our_own() -> None:
    with access_lines() as handler:
        serve(observer())
    added = extras(handler.records[0])
    assert list(added) == [field.name for field in ACCESS_FIELDS]
    copied = pickle.loads(pickle.dumps(handler.records[0]))
    assert (copied.getMessage(), extras(copied)) == ("GET /items/7 200", added)
    assert strict_json(JsonFormatter(settings=Settings()).format(copied)) == strict_json(handler.lines[0])
