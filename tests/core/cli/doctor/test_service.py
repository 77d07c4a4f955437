"""Service and report: what hostile servers send, and what HTTP can't send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from obs_middleware import __main__
from obs_middleware.cli.doctor import address, report
from obs_middleware.cli.doctor.checks import run_checks
from obs_middleware.cli.doctor.finding import failed
from obs_middleware.cli.doctor.service import NoAnswer, Service
from obs_middleware.cli.doctor.session import Options, Session
from tests.http_servers import SilentHandler, serving

pytestmark = pytest.mark.once


@contextmanager
def server(answer: Callable[[Any], None]) -> Iterator[int]:
    class Handler(SilentHandler):
        def do_GET(self) -> None:
            answer(self)

    with serving(Handler) as port:
        yield port


def test_body_that_never_ends_is_no_answer() -> None:
    over = threading.Event()

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b".")

    with server(drip) as port:
        try:
            with pytest.raises(NoAnswer, match=r"after 0\.3 s"):
                Service(address.parse(f":{port}"), timeout_seconds=0.3).get("/")
        finally:
            over.set()


def test_details_of_another_shape_are_a_finding() -> None:
    def lie(handler: Any) -> None:
        handler.send_response(503)
        handler.send_header("Cache-Control", "no-store")
        handler.end_headers()
        handler.wfile.write(b'{"checks": [1], "notes": 2}')

    with server(lie) as port:
        own = Service(address.parse(f":{port}"), timeout_seconds=20)
        found = {one.check: one for one in run_checks(Session(own, own, Options()))}
    assert found["planted secret"].status == "pass"
    assert all(isinstance(one.reason, str) for one in found.values())


@pytest.mark.parametrize("options", [["--path", "/\u00fc"], ["--token", "a\nb"], ["--token", "\u20ac"]])
def test_what_http_can_not_send_is_told(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def answer(handler: Any) -> None:
        handler.send_error(404)

    with server(answer) as port:
        assert __main__.main(["doctor", f":{port}", *options]) == 2
    assert "can't be sent" in capsys.readouterr().err


def test_report_shows_control_characters_and_half_characters_as_text() -> None:
    found = [failed("readiness", "a\x1b[2Jb\nc\ud800", "")]
    text = report.as_text(":8000", found, is_coloured=False)
    assert "a\\x1b[2Jb\\nc\\ud800" in text
    assert json.loads(report.as_json(":8000", found).encode())["findings"][0]["reason"] == found[0].reason
