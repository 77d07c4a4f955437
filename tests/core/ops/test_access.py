"""An endpoint opens to its token, in any spelling of the scheme, and to nothing else."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ops.asking import TOKEN, ask
from tests.core.support import internal_errors, observer


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
