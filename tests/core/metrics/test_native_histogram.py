"""Native histograms: quantiles of durations within 5 %, from the table that counts the classic ones exactly."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Any

import pytest

from obs_middleware import Observer
from obs_middleware.metrics.native_histogram import BOUNDS, NativeBuckets
from obs_middleware.record import RequestRecord
from obs_middleware.settings.fields import SECONDS_BUCKETS
from tests.core.metrics.exposition import client_model
from tests.core.metrics.exposition.client_model import ACCEPT
from tests.core.metrics.scraping import DURATION, page, without_telemetry
from tests.core.support import observer, request

_SECONDS = [10 ** (-4 + 6 * step / 96) for step in range(97)]  # 100 µs to 100 s


def _measured(seconds_of: dict[str, list[float]], **settings: Any) -> Observer:
    """Return an Observer that has measured requests of just these durations, by route."""
    own = observer(access_log=False, **settings)
    fields: dict[str, Any] = dict.fromkeys(RequestRecord.__struct_fields__)
    fields |= {"method": "GET", "status": 200, "error_type": "", "ids": "ab" * 24, "ended": 1.5}
    fields |= {"request_bytes": 0, "response_bytes": 0, "is_sampled": True}
    own.gateway._metrics.record(
        iter(
            [
                RequestRecord(**fields | {"route": route, "duration": one, "time_to_first_byte": one})
                for route, some in seconds_of.items()
                for one in some
            ]
        )
    )
    return own


def _natives(own: Observer, name: str = DURATION) -> list[Any]:
    """Return the histograms of a page, one for each route."""
    reply = own.gateway.reply(request(path="/metrics", headers={"accept": ACCEPT}), "/metrics")
    return [metric.histogram for metric in client_model.families(reply.body)[name].metric]


@pytest.mark.parametrize("name", [DURATION, "http_server_time_to_first_byte_seconds"])
def test_quantiles_are_within_five_percent_of_the_true_ones(name: str) -> None:
    (histogram,) = _natives(_measured({"/a": _SECONDS}, native_histograms=True), name)
    for place, true in enumerate(_SECONDS):
        assert client_model.quantile(histogram, (place + 0.5) / 97) == pytest.approx(true, rel=0.045)
    assert histogram.sample_sum == pytest.approx(sum(_SECONDS))


def test_quantiles_are_so_too_where_all_requests_take_the_same() -> None:
    same = {f"/{one}": [one] * 20 for one in _SECONDS[::6]}
    histograms = _natives(_measured(same, native_histograms=True))
    for histogram, true in zip(histograms, _SECONDS[::6], strict=True):
        for rank in (0.0001, 0.5, 1.0):
            assert client_model.quantile(histogram, rank) == pytest.approx(true, rel=0.045)


def test_what_takes_minutes_is_known_by_its_doubling() -> None:
    minutes = [130.0, 200.0, 255.0, 257.0, 3600.0, 8191.0, 8193.0, 11_000.0]
    histograms = _natives(_measured({f"/{one}": [one] for one in minutes}, native_histograms=True))
    for histogram, true in zip(histograms, minutes, strict=True):
        assert 0.67 * true < client_model.quantile(histogram, 0.5) < 1.42 * true


def test_what_takes_no_time_is_in_the_zero_bucket() -> None:
    (histogram,) = _natives(_measured({"/a": [0.0, 1e-9, 2**-14]}, native_histograms=True))
    assert (histogram.zero_count, histogram.sample_count, [*histogram.positive_span]) == (3, 3, [])
    assert histogram.zero_threshold == 2**-14


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_text_is_the_same_with_native_histograms_and_without(accept: str) -> None:
    classic = [0.0031, 0.005, 0.025, 0.1, 0.5, 1.0, 1.5, 7.5, 10.0, 30.0]
    around = [one * by for one in classic for by in (1 - 1e-12, 1, 1 + 1e-12)]
    seconds = {"/a": [*around, *_SECONDS, *BOUNDS[::20], 0.0, 1e9], "/b": around}
    pages = [
        page(
            _measured(
                seconds,
                native_histograms=is_on,
                metric_names=("opentelemetry", "prometheus-fastapi-instrumentator"),
                metrics_route_buckets={"/a": (0.0031, 0.5)},
            ),
            accept,
        )
        for is_on in (False, True)
    ]
    assert without_telemetry(pages[0]) == without_telemetry(pages[1])
    assert (" # {" in pages[0]) is bool(accept)


@pytest.mark.parametrize("most", [0, 1, 2, 300])
def test_buckets_are_written_as_spans_and_differences(most: int) -> None:
    drawn = Random(most)
    counts = [max(0, drawn.randint(-1, most)) for _ in range(len(BOUNDS) + 1)]
    native = NativeBuckets(BOUNDS).read(counts)
    assert len(native.deltas) == sum(length for _, length in native.spans)
    assert all(length for _, length in native.spans)
    assert all(offset for offset, _ in native.spans[1:])
    assert native.zero_count + sum(accumulate(native.deltas)) == sum(counts)


def test_exemplars_are_as_many_as_classic_buckets() -> None:
    own = _measured({"/a": [0.0001 * step for step in range(1, 2000)]}, native_histograms=True)
    exemplars = own.gateway._metrics.instruments.table.exemplars(0)
    assert exemplars is not None
    assert len(exemplars._places) <= 2 * (len(SECONDS_BUCKETS) + 1)
