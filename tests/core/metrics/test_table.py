"""The table behind the histograms counts as far as anybody does."""

from __future__ import annotations

from obs_middleware.queue import flush
from tests.core.metrics.scraping import DURATION, HISTOGRAMS, LABELS, page
from tests.core.support import observer, serve


def test_a_bucket_counts_on_past_what_four_bytes_hold() -> None:
    own = observer(access_log=False)
    labels = dict(zip(LABELS, ("GET", "/a", "200", ""), strict=True))
    by_route = {name: labels[name] for name in LABELS[:2]}
    by_name = {name: labels if name == DURATION else by_route for name in HISTOGRAMS}
    serve(own, route="/a", time_to_first_byte=0.0)
    flush()
    table = own.gateway._metrics.instruments.table
    for place, number in enumerate(table.counts):
        table.counts[place] = 2**32 - 1 if number else 0
    for more in range(1, 4):
        serve(own, route="/a", time_to_first_byte=0.0)
        serve(own, route=f"/{more}")
        counted = [own.registry.get_sample_value(f"{name}_count", shown) for name, shown in by_name.items()]
        assert counted == [2**32 - 1 + more] * 4
        assert (
            f'{{error_type="",http_request_method="GET",http_response_status_code="200",http_route="/{more}"}} 1.0'
            in page(own)
        )
