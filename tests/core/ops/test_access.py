"""An endpoint opens to its token, in any spelling of the scheme, and to nothing else."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware import ConfigError, Observer, Reply
from tests.core.ops.asking import TOKEN, ask
from tests.core.support import internal_errors, observer, request, serve


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
    [both] = compared
    assert [len(digest) for digest in both] == [32, 32]  # of any token, also of a short one


PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via", "x-real-ip")
OTHER = "the-next-token"


def ask_from(own: Observer, peer: str, path: str = "/metrics", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return own.gateway.reply(request("GET", path, headers=named, peer=(peer, 4711)), path)


def refusals(own: Observer, reason: str) -> float | None:
    return own.registry.get_sample_value("obs_access_refused_total", {"reason": reason})


@pytest.mark.parametrize("name", PROXIED)
def test_metrics_page_is_not_public_behind_a_proxy(name: str, caplog: pytest.LogCaptureFixture) -> None:
    own = observer()
    reply = ask(own, **{name: "198.51.100.7"})
    assert reply.status == 403
    for text in (reply.body.decode(), caplog.text):
        assert name in text
        assert "metrics_access=open" in text
    assert refusals(own, "proxy") == 1
    assert b"http_server" not in reply.body


def test_metrics_page_can_be_open_to_all_or_to_the_token_through_a_proxy() -> None:
    assert ask(observer(metrics_access="open"), via="1.1 nginx").status == 200
    own = observer(metrics_token=TOKEN)
    assert ask(own, via="1.1 nginx", authorization=f"Bearer {TOKEN}").status == 200
    assert ask(own, via="1.1 nginx").status == 401


def test_probes_status_is_open_through_a_proxy_and_its_details_are_not() -> None:
    own = observer(environment="development")
    own.gateway.set_up()
    own.gateway.started()
    own.health.add("database", lambda: None, timeout_seconds=60)
    assert b"checks" in ask(own, "/health/ready").body
    through = ask(own, "/health/ready", via="1.1 nginx")
    assert (through.status, through.body) == (200, b'{"status":"pass"}')
    assert refusals(own, "proxy") is None


def test_two_tokens_are_taken_while_one_is_replaced() -> None:
    own = observer(metrics_token=f"{TOKEN} {OTHER}")
    for token, status in ((TOKEN, 200), (OTHER, 200), (f"{TOKEN} {OTHER}", 401), ("third-token", 401)):
        assert ask(own, authorization=f"Bearer {token}").status == status


def test_networks_alone_or_with_a_token() -> None:
    own = observer(metrics_networks="198.51.100.0/24,2001:db8::/32")
    assert ask_from(own, "198.51.100.7").status == 200
    assert ask_from(own, "2001:db8::7").status == 200
    refused = ask_from(own, "203.0.113.9")
    assert (refused.status, b"metrics_networks" in refused.body) == (403, True)
    proxied = ask_from(own, "198.51.100.7", via="1.1 nginx")
    assert (proxied.status, b"trusted_proxies" in proxied.body) == (403, True)
    either = observer(metrics_networks="198.51.100.0/24", metrics_token=TOKEN)
    assert ask_from(either, "198.51.100.7").status == 200
    assert ask_from(either, "203.0.113.9", authorization=f"Bearer {TOKEN}").status == 200
    assert ask_from(either, "203.0.113.9").status == 401


def test_both_token_and_network_and_equal_answers_to_who_lacks_one() -> None:
    own = observer(metrics_networks="198.51.100.0/24", metrics_token=TOKEN, metrics_access="both")
    assert ask_from(own, "198.51.100.7", authorization=f"Bearer {TOKEN}").status == 200
    refused = [
        ask_from(own, "198.51.100.7"),
        ask_from(own, "198.51.100.7", authorization="Bearer wrong"),
        ask_from(own, "203.0.113.9", authorization=f"Bearer {TOKEN}"),
    ]
    assert refused[0].status == 401
    assert refused[0] == refused[1] == refused[2]


def test_network_behind_a_trusted_proxy() -> None:
    own = observer(metrics_networks="198.51.100.0/24", trusted_proxies="10.0.0.0/8")
    assert ask_from(own, "10.0.0.1", x_forwarded_for="6.6.6.6, 198.51.100.7").status == 200
    assert ask_from(own, "10.0.0.1", x_forwarded_for="198.51.100.7, 203.0.113.9").status == 403


def test_details_are_for_the_networks_of_the_setting() -> None:
    own = observer(health_networks="198.51.100.0/24")
    own.health.add("database", lambda: None, timeout_seconds=60)
    assert b"checks" in ask_from(own, "198.51.100.7", "/health/ready").body
    assert b"checks" not in ask_from(own, "203.0.113.9", "/health/ready").body


def test_who_guesses_tokens_has_to_wait(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "obs_middleware.ops.refusals.urandom", bytes
    )  # its two clients are not counted together
    own = observer(metrics_token=TOKEN, health_token=TOKEN)
    for number in range(10):
        path = ("/metrics", "/health/live")[number % 2]
        ask_from(own, f"2001:db8::{number}", path, authorization=f"Bearer guess-{number}")
    assert refusals(own, "wrong_token") == 10
    limited = ask_from(own, "2001:db8::1", authorization=f"Bearer {TOKEN}")
    assert limited.status == 429
    assert 0 < int(limited.headers["Retry-After"]) <= 61
    assert ask_from(own, "2001:db8::1", "/health/live", authorization=f"Bearer {TOKEN}").status == 200
    assert refusals(own, "too_many") == 2
    assert ask_from(own, "2001:db8:1::1", authorization=f"Bearer {TOKEN}").status == 200
    assert "guess-" not in caplog.text
    assert {record.name for record in caplog.records} == {"obs.security"}


@pytest.mark.parametrize("peer", ["192.0.2.{}", "2001:db8:{}::1", "a-name-{}"])
def test_who_has_many_addresses_has_no_more_guesses_than_all_together(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obs_middleware.ops.refusals._PLACES", 4)
    own = observer(metrics_token=TOKEN)
    statuses = [
        ask_from(own, peer.format(number), authorization="Bearer wrong").status for number in range(200)
    ]
    assert statuses[0] == 401
    assert statuses.count(401) <= 40
    assert statuses[-1] == 429
    assert refusals(own, "wrong_token") == statuses.count(401)


def test_guesses_are_forgiven_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("obs_middleware.ops.refusals.monotonic", lambda: now[0])
    own = observer(metrics_token=TOKEN)
    for _ in range(2):
        for _ in range(10):
            assert ask(own, authorization="Bearer wrong").status == 401
        assert ask(own, authorization="Bearer wrong").headers["Retry-After"] == "61"
        now[0] += 59.5
        assert ask(own, authorization=f"Bearer {TOKEN}").headers["Retry-After"] == "1"
        now[0] += 0.5
        assert ask(own, authorization=f"Bearer {TOKEN}").status == 200


def test_every_refusal_for_a_token_does_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    own = observer(
        metrics_networks="198.51.100.0/24", metrics_token=f"{TOKEN} {OTHER}", metrics_access="both"
    )
    for authorization in ("", "Bearer wrong", f"Bearer {TOKEN}", f"Bearer {OTHER}", f"Basic {TOKEN}"):
        compared.clear()
        assert ask_from(own, "203.0.113.9", authorization=authorization).status == 401
        assert len(compared) == 2


def test_refusal_shows_an_address_as_lines_do(caplog: pytest.LogCaptureFixture) -> None:
    ask(observer(client_address="none"), via="1.1 nginx")
    ask(observer(client_address="truncated"), via="1.1 nginx")
    first, second = caplog.messages
    assert "to a client (proxy)" in first
    assert "to 192.0.2.0 (proxy)" in second


def test_settings_that_lack_something_are_errors() -> None:
    with pytest.raises(ConfigError, match="metrics_access=both wants metrics_token and metrics_networks"):
        observer(metrics_access="both", metrics_token=TOKEN)
    with pytest.raises(ConfigError, match="health_networks must be networks"):
        observer(health_networks="localhost")


def test_signals_have_the_client_behind_a_trusted_proxy(caplog: pytest.LogCaptureFixture) -> None:
    own = observer(trusted_proxies="192.0.2.0/24")
    info = request(headers={"x-forwarded-for": "6.6.6.6, 198.51.100.7", "host": "shop.test"})
    exchange = serve(own, info)
    assert exchange.record().client == "198.51.100.7"
    assert exchange.info.connection == info.peer
    assert exchange.info.header_names() == info.header_names()
    assert serve(observer(), info).record().client == "192.0.2.1"
    assert serve(own, request()).record().client == "192.0.2.1"
