"""Logs and redaction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apps.probe import LOG_LINES, SECRETS
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request
from tests.conformance.probes import Probe

ACCESS_KEYS = {
    "method",
    "path",
    "route",
    "status",
    "outcome",
    "duration_ms",
    "ttfb_ms",
    "request_bytes",
    "response_bytes",
    "client",
    "user_agent",
}
CONTEXT_KEYS = {"request_id", "correlation_id", "trace_id", "span_id"}
LINE_KEYS = {"timestamp", "level", "logger", "message", *CONTEXT_KEYS}
SECRET_QUERY = "q=a%20b&&empty=&token=tok-5ecret&X-Amz-Signature=5ecret-too&sig=5ecret-three&last=%C3%A4+c"


def test_a_request_has_one_access_line(app: Probe, front_end: FrontEnd) -> None:
    """A request has one access line with every field."""
    app.get("/items/1?page=2", ("User-Agent", "probe/1"))
    line = app.access_line()
    assert line.keys() >= LINE_KEYS | ACCESS_KEYS
    assert (line["method"], line["path"], line["status"]) == ("GET", "/items/1", 200)
    assert (line["route"], line["outcome"]) == (front_end.routes["item"], "ok")
    assert (line["client"], line["user_agent"]) == ("127.0.0.1", "probe/1")
    assert (line["level"], line["service"]) == ("INFO", "probe")


def test_the_client_is_the_one_before_the_trusted_proxies(serve: Any) -> None:
    """The client of a line and a span is the one before the trusted proxies."""
    app = serve(trusted_proxies="127.0.0.1,10.0.0.0/8")
    app.get("/items/1", ("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.2"))
    assert app.access_line()["client"] == "198.51.100.7"
    assert (app.span().attributes or {})["client.address"] == "198.51.100.7"


def test_the_apps_own_lines_carry_the_context(app: Probe) -> None:
    """The app's own log lines carry the request's IDs."""
    app.get("/log")
    access = app.access_line()
    own = [line for line in app.lines() if line["logger"] == "probe"]
    assert len(own) == LOG_LINES
    for line in own:
        assert {key: line[key] for key in CONTEXT_KEYS} == {key: access[key] for key in CONTEXT_KEYS}


def test_every_line_is_json_whatever_is_logged(app: Probe) -> None:
    """NaN, cycles, odd keys, broken objects and half characters: every line is there and is JSON."""
    assert app.get("/log").body == b"logged"
    app.access_line()
    messages = [line["message"] for line in app.lines() if line["logger"] == "probe"]
    assert len(messages) == LOG_LINES
    assert messages[0] == "plain"
    failed = [line for line in app.lines() if "exception" in line]
    assert [line["exception"]["type"] for line in failed] == ["KeyError"]


def test_extra_fields_are_kept(app: Probe) -> None:
    """Fields that the app adds to its lines are kept."""
    app.get("/log")
    app.access_line()
    lines = {line["message"]: line for line in app.lines()}
    assert lines["plain"]["tenant"] == "acme"
    assert lines["in the fields"]["nested"]["kept"] == "yes"


def test_no_secret_is_logged(app: Probe) -> None:
    """Passwords, tokens, card numbers and addresses in what the app logs are hidden."""
    app.get("/log")
    app.access_line()
    for secret in SECRETS:
        assert secret not in app.output()
    assert "REDACTED" in app.output()


def test_no_secret_of_the_query_is_seen(app: Probe) -> None:
    """Secrets in the query are hidden in span and log; the rest of it stays as it was."""
    response = app.get(f"/query?{SECRET_QUERY}")
    assert response.body.decode() == SECRET_QUERY, "the app gets it as it was"
    app.access_line()
    query = (app.span().attributes or {})["url.query"]
    kept = "q=a%20b&&empty=&token=REDACTED&X-Amz-Signature=REDACTED&sig=REDACTED&last=%C3%A4+c"
    assert query == kept
    for secret in ("tok-5ecret", "5ecret-too", "5ecret-three"):
        assert secret not in app.output()


def test_no_secret_of_a_header_is_logged(app: Probe) -> None:
    """Credentials in headers are in no line."""
    app.get("/items/1", ("Authorization", "Bearer tok-5ecret"), ("Cookie", "sessionid=hunter2"))
    app.get("/boom", ("Authorization", "Bearer tok-5ecret"), ("Cookie", "sessionid=hunter2"))
    app.access_lines(2)
    assert not [secret for secret in SECRETS if secret in app.output()]


def test_an_unhandled_exception_is_in_the_access_line(app: Probe) -> None:
    """The access line of an unhandled exception is a warning that names its class: the error is the exception's own."""
    app.get("/boom")
    line = app.access_line()
    assert (line["level"], line["outcome"], line["error_type"]) == ("WARNING", "error", "ValueError")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"user-agent", b"\xff\xfe evil"),
        (b"user-agent", b'"}\x1b[31m{"level":"INFO"'),
        (b"user-agent", b"x" * 100_000),
        (b"user-agent", "ünï \u2028 cödé".encode()),
        (b"host", b"\xff\xff"),
        (b"referer", b"\x00\x01"),
    ],
)
def test_a_hostile_header_leaves_the_line_valid(make: Any, name: bytes, value: bytes) -> None:
    """Hostile header values leave the access line valid and of bounded size."""
    app = make()
    app.call(Request(b"/items/1", headers=((name, value),)))
    line = app.access_line()
    assert line["path"] == "/items/1"
    assert len(json.dumps(line)) < 10_000


def test_without_an_access_log_there_is_no_line(serve: Any) -> None:
    """The access line can be turned off; metrics go on."""
    app = serve(access_log=False)
    app.get("/items/1")
    app.counted(1)
    assert app.access_lines() == []
