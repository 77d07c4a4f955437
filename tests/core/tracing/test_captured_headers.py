"""Headers are attributes of the server span where the standard variables name them; the rest is conformance."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from obs_middleware import Observer, RequestInfo
from obs_middleware.gateway import with_header_names
from tests.core.support import caught, observer, python, request, started

PREFIX = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def observer(self) -> Observer:
        return observer(tracer_provider=self.provider, access_log=False)


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.provider.shutdown()


def named(headers: Mapping[str, str]) -> RequestInfo:
    return with_header_names(request(headers=headers), headers.keys)


def captured(traced: Traced, headers: Mapping[str, str], response: list[tuple[str, str]]) -> dict[str, Any]:
    exchange = started(traced.observer(), named(headers))
    exchange.capture_response_headers(response)
    exchange.status = 200
    exchange.finish()
    (span,) = traced.exporter.get_finished_spans()
    return {key: value for key, value in (span.attributes or {}).items() if ".header." in key}


def test_names_are_whole_names_in_any_case(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}_SERVER_REQUEST", "X-Shop, accept.*")
    monkeypatch.setenv(f"{PREFIX}_SERVER_RESPONSE", "X-SHOP")
    request_headers = {"x-shop": "7", "x-shop-id": "8", "accept-language": "de,en"}
    assert captured(traced, request_headers, [("X-Shop", "a"), ("x-shop", "b"), ("X-Shops", "c")]) == {
        "http.request.header.x-shop": ("7",),
        "http.request.header.accept-language": ("de,en",),
        "http.response.header.x-shop": ("a", "b"),
    }


def test_values_are_cut(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}_SERVER_REQUEST", ".*")
    ((value,),) = captured(traced, {"x-long": "x" * 100_000}, []).values()
    assert len(value) < 2000


def test_an_observer_says_what_its_adapter_has_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not observer().gateway.needs_header_names
    assert not observer().gateway.captures_response
    monkeypatch.setenv(f"{PREFIX}_SERVER_RESPONSE", "x-shop")
    assert not observer().gateway.needs_header_names
    assert observer().gateway.captures_response
    monkeypatch.setenv(f"{PREFIX}_SERVER_REQUEST", "x-shop")
    assert observer().gateway.needs_header_names


def test_a_span_that_is_adopted_is_left_to_the_instrumentation_that_made_it(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}_SERVER_REQUEST", "x-shop")
    monkeypatch.setenv(f"{PREFIX}_SERVER_RESPONSE", "x-shop")
    with traced.provider.get_tracer("x").start_as_current_span("outside", kind=SpanKind.SERVER):
        assert captured_by_none(traced)
    (span,) = traced.exporter.get_finished_spans()
    assert set(span.attributes or {}) == {"obs.request_id"}


def captured_by_none(traced: Traced) -> bool:
    exchange = started(traced.observer(), named({"x-shop": "7"}))
    exchange.capture_response_headers([("x-shop", "7")])
    exchange.finish()
    return not exchange.is_span_ours


def test_an_expression_that_is_none_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}_SERVER_REQUEST", "x-(shop")
    with caught("obs") as log:
        assert not observer().gateway.needs_header_names
    message = log.records[0].getMessage()
    assert "not valid" in message
    assert (
        f"{PREFIX}_SERVER_REQUEST must be names or regular expressions of headers, got 'x-(shop'" in message
    )


def test_a_missing_package_is_a_warning_that_names_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}_SERVER_RESPONSE", "x-shop")
    monkeypatch.delitem(sys.modules, "obs_middleware.tracing.captured_headers", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.util.http", None)
    with caught("obs") as log:
        assert not observer().gateway.captures_response
    assert "pip install 'obs-middleware[tracing]'" in log.records[0].getMessage()


UNSET = """
import sys
from obs_middleware import Observer
Observer()
print("opentelemetry.util.http" in sys.modules)
"""


def test_nothing_is_imported_where_no_header_is_wanted() -> None:
    assert python(UNSET) == "False\n"


PREFIXED = """
import json
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry import baggage
from obs_middleware import Observer, RequestInfo
from obs_middleware.gateway import with_header_names

class Prefixed(TextMapPropagator):
    fields = {"uberctx-*"}
    def extract(self, carrier, context=None, getter=None):
        for key in getter.keys(carrier):
            if key.startswith("uberctx-"):
                context = baggage.set_baggage(key[8:], getter.get(carrier, key)[0], context)
        return context
    def inject(self, *_, **__):
        pass

set_global_textmap(Prefixed())
gateway = Observer(access_log=False).gateway
headers = {"uberctx-user": "7", "x-other": "8"}
info = RequestInfo("GET", "/", "", "http", headers.get)
exchange = gateway.start(with_header_names(info, headers.keys))
print(gateway.needs_header_names, json.dumps(dict(baggage.get_all(exchange.context))))
"""


def test_a_propagator_that_searches_by_prefix_finds_its_headers() -> None:
    assert python(PREFIXED) == 'True {"user": "7"}\n'
