"""The exchange around an adapter: found in what it is handed, or as the current one of the same request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from obs_middleware import RequestInfo
from obs_middleware.gateway import CARRIER_KEY, INERT, exchange_around
from tests.core.support import observer, started


def nothing() -> Any:
    raise AssertionError("nobody needs it")


def test_request_that_nobody_observes_has_no_exchange_around() -> None:
    assert exchange_around({}, nothing) is None
    assert (
        exchange_around({"asgi.scope": {}, "wsgi_environ": None, CARRIER_KEY: "another's"}, nothing) is None
    )


@pytest.mark.parametrize("bridge", ["asgi.scope", "wsgi_environ"])
def test_exchange_is_found_in_what_carries_it(bridge: str) -> None:
    own = started(observer())
    assert exchange_around({CARRIER_KEY: own}, nothing) is own
    assert exchange_around({bridge: {CARRIER_KEY: own}}, nothing) is own
    own.finish()
    assert exchange_around({CARRIER_KEY: own}, nothing) is own


def test_inert_exchange_hides_the_current_one() -> None:
    own = started(observer())
    with own:
        assert exchange_around({CARRIER_KEY: INERT}, nothing) is INERT
    assert INERT.is_finished


@dataclass
class Told:
    """What an inner adapter is told of a request."""

    method: str = "GET"
    path: str = "/gw/orders/7"
    query: str = "page=2"
    peer: tuple[str, int | None] = ("192.0.2.1", None)
    headers: Mapping[str, str] = field(default_factory=lambda: {"host": "shop.test"})

    def __call__(self) -> RequestInfo:
        return RequestInfo(self.method, self.path, self.query, "http", self.headers.get, self.peer)


@pytest.mark.parametrize(
    ("inner", "is_same"),
    [
        (Told(), True),
        (Told(path="/orders/7"), True),  # a layer between has cut the prefix off
        (Told(path="/orders/8"), False),
        (Told(method="POST"), False),
        (Told(query=""), False),
        (Told(peer=("127.0.0.1", 123)), False),  # as clients in process have it
        (Told(headers={"host": "other.test"}), False),
        (Told(headers={"host": "shop.test", "user-agent": "httpx"}), False),
    ],
)
def test_bridge_to_the_other_protocol_makes_no_request_of_its_own(inner: Any, is_same: bool) -> None:
    """It makes new variables of the scope, or a new scope of the variables."""
    outer = Told(peer=("192.0.2.1", 5000))()
    for outside, inside in (({"type": "http"}, {"REQUEST_METHOD": "GET"}), ({}, {"type": "http"})):
        own = started(observer(), outer)
        own.carrier = dict(outside)
        with own:
            assert exchange_around(inside, inner) is (own if is_same else None)
            own.finish()
            assert exchange_around(inside, inner) is None
        assert exchange_around(inside, inner) is None


def test_layer_that_makes_a_new_scope_hands_on_the_headers() -> None:
    """A client in process makes new ones, and asks for a request of its own."""
    headers = [(b"host", b"shop.test")]
    own = started(observer(), Told()())
    own.carrier = {"type": "http", "headers": headers}
    with own:
        assert exchange_around({"type": "http", "headers": headers}, Told()) is own
        assert exchange_around({"type": "http", "headers": headers}, Told(path="/other")) is None
        assert exchange_around({"type": "http", "headers": list(headers)}, Told()) is None
        assert exchange_around({"type": "http"}, Told()) is None


def test_variables_are_never_made_of_variables() -> None:
    own = started(observer(), Told()())
    own.carrier = {"REQUEST_METHOD": "GET"}
    with own:
        assert exchange_around({"REQUEST_METHOD": "GET"}, Told()) is None
        own.carrier = None
        assert exchange_around({"REQUEST_METHOD": "GET"}, Told()) is None
