"""Our HTTP series on the page: parsers read them, and they are prometheus-client's text."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obs_middleware.queue import flush
from tests.core.metrics.scraping import DURATION, HISTOGRAMS, OPENMETRICS, SAMPLED, page, without_telemetry
from tests.core.support import observer, request, serve, started


def test_a_status_that_is_no_status_keeps_no_page_waiting() -> None:
    own = observer(access_log=False)
    for _ in range(3):
        serve(own, status=10**30)
    flush()
    pages: list[str] = []
    thread = threading.Thread(target=lambda: pages.append(page(own)), daemon=True)
    thread.start()
    thread.join(60)
    assert pages
    assert f'http_response_status_code="{10**30}"' in pages[0]


def test_route_that_is_no_valid_text_does_not_break_the_page() -> None:
    own = observer(access_log=False)
    serve(own, route="/a\ud800")
    serve(own, route='/"b"\\\n')
    page(own)


def test_text_page_parses_back_and_has_no_exemplars() -> None:
    own = observer(access_log=False)
    serve(own, request(headers=SAMPLED), route="/items/{i}")
    text = page(own)
    families = {family.name: family for family in parse_text(text)}
    assert {*HISTOGRAMS, "http_server_active_requests"} <= families.keys()
    assert "trace_id" not in text
    assert all(family.documentation for family in families.values())


def test_openmetrics_page_parses_back_with_exemplars_of_sampled_requests_alone() -> None:
    own = observer(access_log=False, tracing_enabled=False)
    serve(own, request(headers={}), route="/unsampled")
    exchange = started(own, request(headers=SAMPLED))
    exchange.route, exchange.status = "/sampled", 200
    exchange.first_byte()
    exchange.finish()
    text = page(own, OPENMETRICS)
    assert text.endswith("# EOF\n")
    found = [
        (family.name, sample.labels["http_route"], sample.exemplar)
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.exemplar
    ]
    assert {(name, route) for name, route, _ in found} == {(name, "/sampled") for name in HISTOGRAMS[:2]}
    for name, _, exemplar in found:
        assert exemplar.labels == {"trace_id": exchange.trace_id, "span_id": exchange.span_id}
        assert exemplar.value == (exchange.duration if name == DURATION else exchange.time_to_first_byte)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_page_is_what_prometheus_client_makes_of_our_families(accept: str) -> None:
    own = observer(access_log=False)
    for route in ("/a", '/"quoted"', "/back\\slash", "/ü"):
        for status in (200, 404, None):
            serve(own, request(headers=SAMPLED), route=route, status=status, request_bytes=10**8)
    serve(own, request("BREW", scheme="odd"), route="/a", status=500, error=ValueError())
    encode = generate_openmetrics if accept else generate_latest
    theirs = encode(own.registry).decode()
    assert without_telemetry(page(own, accept)) == without_telemetry(theirs)
