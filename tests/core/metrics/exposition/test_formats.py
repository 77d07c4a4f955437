"""Whatever a scraper says that it accepts, it gets a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.metrics.exposition.formats import choose
from tests.core.metrics.exposition.client_model import ACCEPT, CONTENT_TYPE, OF_PROMETHEUS
from tests.core.metrics.scraping import page
from tests.core.support import internal_errors, observer


@given(
    st.one_of(
        st.text(st.characters(max_codepoint=0xFF)),
        st.from_regex(
            r"(application/openmetrics-text|text/plain); ?version=[0-9a-z.]{0,6}(; ?(q|escaping)=[a-z0-9.-]{0,9})?"
        ),
    )
)
def test_any_accept_header_gets_a_page(accept: str) -> None:
    own = observer(access_log=False)
    assert "http_server_active_requests" in page(own, accept)
    assert internal_errors(own, "endpoints") == 0


@pytest.mark.parametrize(
    "accept",
    [
        ACCEPT,
        ACCEPT.upper()
        .replace("IO.PROMETHEUS.CLIENT.METRICFAMILY", "io.prometheus.client.MetricFamily")
        .replace("DELIMITED", "delimited"),
        ACCEPT.replace(";", " ; ") + " ; charset=utf-8",
        'application/vnd.google.protobuf;encoding="delimited";proto="io.prometheus.client.MetricFamily"',
        f"{ACCEPT};q=0.7,text/plain;q=0.3",
        f"text/plain;q=0.3,{ACCEPT};q=0.7",
        f"{ACCEPT},text/plain",
        f"{ACCEPT};q=0.5,*/*;q=0.1",
        f"{ACCEPT};q=0.001,text/plain;q=0",
        f"image/png,{ACCEPT};q=0.5",
        f"{ACCEPT};q=much",
        f"{ACCEPT};escaping=dots",
    ],
)
def test_who_wants_protobuf_most_gets_it(accept: str) -> None:
    assert choose(accept)[1] == CONTENT_TYPE


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.google.protobuf",
        ACCEPT.replace("delimited", "text"),
        ACCEPT.replace("MetricFamily", "Metric"),
        f"{ACCEPT};q=0",
        f"{ACCEPT};q=0.3,text/plain;q=0.7",
        f"{ACCEPT};q=0.3,application/openmetrics-text;version=1.0.0",
        f"text/plain,{ACCEPT}",
        f"*/*,{ACCEPT};q=0.9",
        f"application/*;q=0.6,{ACCEPT};q=0.5",
        "*/*",
        "application/*",
    ],
)
def test_who_wants_text_as_much_or_another_protobuf_gets_text(accept: str) -> None:
    text = accept.replace("application/vnd.google.protobuf", "image/png")
    assert choose(accept)[1] == choose(text)[1]
    assert "protobuf" not in choose(accept)[1]


def test_prometheus_that_scrapes_native_histograms_gets_protobuf_and_all_names() -> None:
    assert choose(OF_PROMETHEUS)[1] == CONTENT_TYPE
    takes_any = OF_PROMETHEUS.replace("encoding=delimited", "encoding=delimited;escaping=allow-utf-8")
    assert choose(takes_any)[1] == CONTENT_TYPE.replace("underscores", "allow-utf-8")
