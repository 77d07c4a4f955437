"""The paths that are ours: who may ask, how, and what is answered."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import Observer, Reply
from tests.core.support import internal_errors, observer, request

TOKEN = "metrics-token"
PATHS = ("/metrics", "/health/live", "/health/ready", "/health/startup")


def ask(own: Observer, path: str = "/metrics", method: str = "GET", **headers: str) -> Reply:
    return own.gateway.reply(request(method, path, headers=headers), path)


def test_paths_are_those_of_the_settings() -> None:
    assert observer().gateway.paths == frozenset(PATHS)
    own = observer(metrics_path="/internal/metrics", live_path="/livez")
    assert own.gateway.paths == {"/internal/metrics", "/livez", "/health/ready", "/health/startup"}
    assert ask(own, "/internal/metrics").status == 200
    assert ask(own, "/livez").status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "", "BREW"])
def test_other_methods_are_not_allowed(path: str, method: str) -> None:
    reply = ask(observer(), path, method)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get_is(path: str) -> None:
    own = observer(tracing_enabled=False)
    got, head = ask(own, path), ask(own, path, "HEAD")
    assert (head.status, head.headers) == (got.status, got.headers)


def test_metrics_page_is_open_without_a_token() -> None:
    assert ask(observer()).status == 200
    assert ask(observer(), authorization="Bearer whatever").status == 200


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_metrics_page_opens_to_its_token(authorization: str) -> None:
    assert ask(observer(metrics_token=TOKEN), authorization=authorization).status == 200


def refused(authorization: str | None) -> None:
    own = observer(metrics_token=TOKEN, health_token="another-token")
    headers = {} if authorization is None else {"authorization": authorization}
    reply = ask(own, **headers)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert b"http_server" not in reply.body
    assert TOKEN.encode() not in reply.body
    assert internal_errors(own, "endpoints") == 0


SHUT = [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
SHUT += ["Bearer another-token", f"Bearer{TOKEN}", f"Bearer\t{TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer é"]


@pytest.mark.parametrize("authorization", [*SHUT, "x" * 1_000_000])
def test_metrics_page_stays_shut_to_everything_else(authorization: str | None) -> None:
    refused(authorization)


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_no_text_but_the_token_opens_the_metrics_page(text: str) -> None:
    refused(text)
    refused(f"Bearer {text}")


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, ...]] = []
    real = hmac.compare_digest

    def compare(*both: Any) -> bool:
        compared.append(both)
        return real(*both)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert ask(observer(metrics_token=TOKEN), authorization="Bearer wrong").status == 401
    assert compared == [(b"wrong", TOKEN.encode())]


def test_page_that_cannot_be_made_is_a_503_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Any:
            raise RuntimeError("a collector of the user's")

    own = observer()
    own.registry.register(Broken()) if False else setattr(own.registry, "collect", Broken().collect)
    reply = ask(own)
    assert (reply.status, reply.body) == (503, b"Service Unavailable\n")
    assert (
        own.gateway._metrics.instruments.internal_errors.labels("endpoints")._value.get() == 1
    )  # the registry can't be asked
    assert "endpoints" in caplog.text
