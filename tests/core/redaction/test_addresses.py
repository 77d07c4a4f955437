"""Clients' addresses: whole, as networks, or not at all, in lines and in spans."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obs_middleware import RequestInfo
from obs_middleware.redaction import Redactor
from tests.core.support import observer

WHOLE = {"203.0.113.77": "203.0.113.77", "2001:db8:1:2::7": "2001:db8:1:2::7", "testclient": "testclient"}
NETWORKS = {
    "203.0.113.77": "203.0.113.0",
    "2001:db8:1:2::7": "2001:db8:1::",
    "::ffff:203.0.113.77": "203.0.113.0",
    "fe80::1%eth0": "fe80::",
    "203.0.113.77:5123": "203.0.113.0",
    "[2001:db8:1:2::7]:443": "2001:db8:1::",
    "testclient": None,
    "unix:": None,
    "": None,
}


@pytest.mark.parametrize(
    ("form", "address", "shown"),
    [
        *[("full", address, shown) for address, shown in WHOLE.items()],
        *[("truncated", address, shown) for address, shown in NETWORKS.items()],
        *[("none", address, None) for address in NETWORKS],
    ],
)
def test_address_is_shown_in_its_form(form: str, address: str, shown: str | None) -> None:
    redactor = Redactor()
    redactor.show_addresses(form)
    assert redactor.address(address) == shown


@pytest.mark.parametrize(
    ("form", "line", "attributes"),
    [
        (
            "full",
            "203.0.113.77",
            {
                "client.address": "203.0.113.77",
                "network.peer.address": "203.0.113.77",
                "network.peer.port": 5123,
            },
        ),
        (
            "truncated",
            "203.0.113.0",
            {"client.address": "203.0.113.0", "network.peer.address": "203.0.113.0"},
        ),
        ("none", None, {}),
    ],
)
def test_line_and_span_agree(
    form: str, line: str | None, attributes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    own = observer(tracer_provider=provider, client_address=form)
    caplog.set_level("INFO", "obs.access")
    exchange = own.gateway.start(
        RequestInfo("GET", "/", "", "http", lambda name: None, ("203.0.113.77", 5123))
    )
    assert exchange is not None
    exchange.status = 200
    exchange.finish()
    own.close()
    (logged,) = [vars(record) for record in caplog.records if record.name == "obs.access"]
    assert logged["client"] == line
    (span,) = exporter.get_finished_spans()
    found = {
        name: value
        for name, value in (span.attributes or {}).items()
        if name.startswith(("client", "network.peer"))
    }
    assert found == attributes
