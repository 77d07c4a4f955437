"""Whatever a scraper says that it accepts, it gets a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
