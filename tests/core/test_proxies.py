"""A chain of proxies is read from its right end, as far as it names trusted ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.errors import ConfigError
from obs_middleware.proxies import Networks, Proxies, address_of, proxy_header
from tests.core.support import request

TRUSTED = Proxies(Networks(("10.0.0.0/8", "2001:db8::/32", "unix"), setting="trusted_proxies"))
OFFICE = Networks(("198.51.100.0/24",), setting="metrics_networks")


def client(peer: str | None = "10.0.0.1", **headers: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return TRUSTED.client(request(headers=named, peer=None if peer is None else (peer, 1)))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),  # the client has written the first one
        ("198.51.100.7, 10.0.0.3,10.0.0.2", "198.51.100.7"),
        ("10.0.0.9, 10.0.0.3", "10.0.0.9"),  # a client of the proxies' own network
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db9::7]:4711", "2001:db9::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, ,", "198.51.100.7"),
        ("198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("6.6.6.6," * 100_000 + "198.51.100.7", "198.51.100.7"),
        ("1" * 100_000, "10.0.0.1"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(chain: str, expected: str) -> None:
    assert client(x_forwarded_for=chain) == expected


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ('for=6.6.6.6;proto=http, For="198.51.100.7:80";by=10.0.0.1', "198.51.100.7"),
        ('for="[2001:db9::7]:4711"', "2001:db9::7"),
        ('for=198.51.100.7;host="a, for=6.6.6.6", for=10.0.0.2', "198.51.100.7"),
        ('for=198.51.100.7;host="a\\", for=6.6.6.6"', "198.51.100.7"),
        ('for="198.51\\.100.7" ; proto=http', "198.51.100.7"),
        ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("proto=https", "10.0.0.1"),
        ("for=6.6.6.6;for=198.51.100.7", "10.0.0.1"),
        ('for=", for=198.51.100.7', "10.0.0.1"),  # a quoted string without an end
        ("for=198.51.100.7, junk", "10.0.0.1"),
        ("for=198.51.100.7," * 10_000, "10.0.0.1"),
        ('"' * 8000, "10.0.0.1"),
        (" " * 8000 + "x", "10.0.0.1"),
        ('for="' + "\\" * 8000, "10.0.0.1"),
    ],
)
def test_forwarded_is_read_from_the_right(chain: str, expected: str) -> None:
    assert client(forwarded=chain) == expected


def test_who_is_no_trusted_proxy_is_the_client() -> None:
    assert client("203.0.113.9", x_forwarded_for="198.51.100.7") == "203.0.113.9"
    assert client("testclient", x_forwarded_for="198.51.100.7") == "testclient"
    assert client("10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize("peer", [None, "", "/run/app.sock"])
def test_proxy_on_a_unix_socket_can_be_trusted(peer: str | None) -> None:
    assert client(peer, x_forwarded_for="198.51.100.7") == "198.51.100.7"
    assert client(peer) == peer
    untrusting = Proxies(Networks(("10.0.0.0/8",), setting="x"))
    info = request(headers={"x-forwarded-for": "198.51.100.7"}, peer=None if peer is None else (peer, 1))
    assert untrusting.client(info) == peer


def test_server_that_believes_the_chain_itself_is_not_followed_further_than_we_go() -> None:
    """uvicorn puts the client there with port 0; with `--forwarded-allow-ips=*` it is what the client has written."""
    chain = {"x-forwarded-for": "6.6.6.6, 198.51.100.7"}
    assert TRUSTED.client(request(headers=chain, peer=("6.6.6.6", 0))) == "198.51.100.7"
    assert TRUSTED.is_within(OFFICE, request(headers=chain, peer=("198.51.100.7", 0)))
    forged = {"x-forwarded-for": "198.51.100.7, 203.0.113.9"}
    assert not TRUSTED.is_within(OFFICE, request(headers=forged, peer=("198.51.100.7", 0)))
    nobody = Proxies(Networks((), setting="x"))
    assert not nobody.is_within(OFFICE, request(headers=chain, peer=("198.51.100.7", 0)))


@pytest.mark.parametrize("peer", [(), (b"10.0.0.1", 1), (7, 1), ("10.0.0.1",)])
def test_odd_peer_is_no_error(peer: Any) -> None:
    info = request(headers={"x-forwarded-for": "198.51.100.7"}, peer=peer)
    assert TRUSTED.client(info) in (None, "198.51.100.7")


@pytest.mark.parametrize(
    ("peer", "headers", "is_inside"),
    [
        ("198.51.100.7", {}, True),
        ("198.51.100.7", {"via": "1.1 nginx"}, False),  # a proxy in the office, whose clients may be anywhere
        ("203.0.113.9", {}, False),
        ("203.0.113.9", {"x-forwarded-for": "198.51.100.7"}, False),
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.7"}, True),
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.7", "forwarded": "for=6.6.6.6"}, False),  # one is a lie
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.7, unknown"}, False),
        ("10.0.0.1", {"x-real-ip": "198.51.100.7"}, False),
        ("10.0.0.1", {"x-forwarded-proto": "https"}, False),
        ("testclient", {}, False),
        (None, {}, False),
    ],
)
def test_network_holds_who_comes_from_there_for_certain(
    peer: str | None, headers: dict[str, str], is_inside: bool
) -> None:
    info = request(headers=headers, peer=None if peer is None else (peer, 1))
    assert TRUSTED.is_within(OFFICE, info) is is_inside


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via", "x-real-ip"])
def test_what_came_through_a_proxy_is_known_by_its_headers(name: str) -> None:
    assert proxy_header(request(headers={name: ""})) == name
    assert proxy_header(request(headers={"x-forward": "1", "accept": "*/*"})) is None


def test_bad_network_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies must be networks such as .*, got '10.0.0/40'"):
        Networks(("10.0.0/40",), setting="trusted_proxies")
    assert not Networks((), setting="trusted_proxies")


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=60))
def test_no_header_is_an_error(forwarded: str, chain: str, address: str) -> None:
    client(forwarded=forwarded, x_forwarded_for=chain)
    client(forwarded=forwarded)
    client(x_forwarded_for=address)
    client(address, x_forwarded_for=chain)
    assert address_of(address) is None or len(address) <= 64
