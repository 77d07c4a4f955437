"""The exchange around an adapter: found in what it is handed, or as the current one of the same request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from obs_middleware import RequestInfo
from obs_middleware.gateway import CARRIER_KEY, INERT, exchange_around
from tests.core.support import observer, request, started


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
def test_current_exchange_is_the_one_around_where_it_is_of_the_same_request(
    inner: Any, is_same: bool
) -> None:
    outer = Told(peer=("192.0.2.1", 5000))()
    own = started(observer(), outer)
    with own:
        assert exchange_around({}, inner) is (own if is_same else None)
        own.finish()
        assert exchange_around({}, inner) is None
    assert exchange_around({}, inner) is None


def test_request_of_another_path_is_no_part_of_it() -> None:
    with started(observer(), request(path="/a")):
        assert exchange_around({}, Told(path="/b")) is None
