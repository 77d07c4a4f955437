"""Whose request it is: where its name comes from, and how many of them the metrics tell apart."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware import ConfigError, Exchange, Observer, RequestInfo
from obs_middleware.queue import flush
from tests.core.metrics.scraping import DURATION
from tests.core.support import internal_errors, observer, request, serve, started


def tenants(own: Observer, label: str = "tenant") -> dict[str, float]:
    """Return how many requests each value of the label has counted; the empty one is of series without it."""
    counted: dict[str, float] = {}
    for family in own.registry.collect():
        for sample in family.samples:
            if sample.name == f"{DURATION}_count":
                value = sample.labels.get(label, "")
                counted[value] = counted.get(value, 0) + sample.value
    return counted


def _serve(own: Observer, headers: dict[str, str]) -> Exchange:
    return serve(own, request(headers=headers), route="/a")


def test_header_names_the_tenant() -> None:
    own = observer(access_log=False, tenant_header="X-Shop", tenant_label="shop")
    _serve(own, {"x-shop": "acme"})
    _serve(own, {"x-shop": ""})
    _serve(own, {})
    assert tenants(own, "shop") == {"acme": 1, "": 2}


def test_baggage_names_the_tenant() -> None:
    own = observer(access_log=False, tenant_baggage="shop")
    _serve(own, {"baggage": "other=1,shop=acme;property=2"})
    _serve(own, {"baggage": "other=1"})
    assert tenants(own) == {"acme": 1, "": 1}


def test_function_of_the_request_names_the_tenant_before_the_others_do() -> None:
    def tenant_of(info: RequestInfo) -> str | None:
        return (info.header("host") or "").partition(".")[0] or None

    own = observer(access_log=False, tenant_callback=tenant_of, tenant_header="X-Shop")
    _serve(own, {"host": "acme.example.org", "x-shop": "globex"})
    _serve(own, {"x-shop": "globex"})
    assert tenants(own) == {"acme": 1, "globex": 1}


def test_function_that_fails_costs_the_label_alone() -> None:
    own = observer(access_log=False, tenant_callback=lambda info: 1 / 0)
    _serve(own, {})
    assert tenants(own) == {"": 1}
    assert internal_errors(own, "tenancy") == 1


async def of_database(info: RequestInfo) -> str:
    return "acme"


def test_a_function_that_is_async_is_refused_and_never_a_name() -> None:
    with pytest.raises(ConfigError, match="tenant_callback must be a function that is not async"):
        observer(tenant_callback=of_database)
    own = observer(access_log=False, tenant_callback=lambda info: of_database(info))
    _serve(own, {})
    assert tenants(own) == {"": 1}
    assert internal_errors(own, "tenancy") == 1


def test_view_can_name_the_tenant_itself() -> None:
    own = observer(access_log=False, tenants="acme,globex")
    exchange = started(own)
    exchange.set_tenant("acme")
    exchange.status = 200
    exchange.finish()
    exchange.set_tenant("globex")  # too late, and for nobody
    assert tenants(own) == {"acme": 1}


def test_view_can_name_the_tenant_where_no_setting_does() -> None:
    own = observer(access_log=False, tenant_max=1)
    for name in ("acme", "globex"):
        exchange = started(own)
        exchange.set_tenant(name)
        exchange.finish()
    assert tenants(own) == {"acme": 1, "other": 1}


def test_only_those_of_the_list_are_told_apart() -> None:
    own = observer(access_log=False, tenant_header="X-Shop", tenants="acme,globex")
    for name in ("acme", "globex", "initech", "umbrella"):
        _serve(own, {"x-shop": name})
    assert tenants(own) == {"acme": 1, "globex": 1, "other": 2}


def test_ten_thousand_tenants_make_a_handful_of_series() -> None:
    own = observer(access_log=False, tracing_enabled=False, tenant_header="X-Shop", tenant_max=5)
    for number in range(10_000):
        _serve(own, {"x-shop": f"shop {number}"})
    _serve(own, {"x-shop": "shop 3"})
    found = tenants(own)
    assert len(found) == 6
    assert (found["shop 3"], found["other"]) == (2, 9_995)


def test_tenant_of_a_websocket_is_no_request() -> None:
    own = observer(access_log=False, tenant_header="X-Shop")
    serve(own, request(scheme="ws", headers={"x-shop": "acme"}), status=101)
    assert tenants(own) == {}


def test_secret_in_a_tenants_name_is_hidden() -> None:
    own = observer(access_log=False, tenant_header="X-Shop")
    _serve(own, {"x-shop": "jane@example.org"})
    flush()
    assert "jane@example.org" not in str(tenants(own))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"tenant_header": "X-A", "tenant_label": "le"}, "tenant_label must be a label's name"),
        ({"tenant_header": "X-A", "tenant_label": "a-b"}, "tenant_label must be a label's name"),
        ({"tenant_header": "X-A", "tenant_label": "http_route"}, "none of .*http_route"),
        ({"tenant_header": "a b"}, "tenant_header must be a header name"),
        ({"tenant_callback": 7}, "tenant_callback must be a function of a RequestInfo"),
        ({"tenant_callback": "nowhere:of"}, "tenant_callback must be a function that can be imported"),
        ({"tenant_max": 0}, "tenant_max must be a whole number, 1 or more"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        observer(**settings)


def test_request_with_labels_of_a_view_and_no_tenant_has_those_labels_alone() -> None:
    own = observer(access_log=False, tenant_header="X-Shop")
    with started(own) as exchange:
        exchange.add_labels(team="a")
        exchange.route, exchange.status = "/a", 200
    exchange.finish()
    assert (tenants(own), tenants(own, "team")) == ({"": 1}, {"a": 1})
