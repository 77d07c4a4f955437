"""The page says what prometheus-client's own page of the same registry says, byte for byte where it can be compared."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
)

from obs_middleware.metrics.exposition import page
from obs_middleware.metrics.exposition.page import MetricsPage
from tests.core.metrics.exposition.comparing import ACCEPTS, HOSTILE, OPEN, ours, parsed, same, theirs
from tests.core.metrics.exposition.filling import FILLS, histograms, hostile_labels
from tests.core.support import observer, request


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("accept", ACCEPTS)
def test_page_is_prometheus_clients(
    fill: Callable[[CollectorRegistry], None], accept: str, registry: CollectorRegistry
) -> None:
    fill(registry)
    assert ours(registry, accept) == theirs(registry, accept)


@given(
    labels=st.lists(st.tuples(st.text(), st.text()), max_size=5),
    amounts=st.lists(st.floats(), max_size=10),
    about=st.text(),
    accept=st.sampled_from(ACCEPTS),
)
def test_any_labels_and_numbers(
    labels: list[tuple[str, str]], amounts: list[float], about: str, accept: str
) -> None:
    registry = CollectorRegistry()
    metrics: list[Any] = [
        Gauge("gauge", about, ("a", "z"), registry=registry),
        Summary("summary", about, ("z", "a"), registry=registry),
        Histogram("histogram", about, ("le_", "a"), registry=registry, buckets=(-1, 0, 0.5)),
    ]
    for metric in metrics:
        for pair in labels:
            child = metric.labels(*pair)
            for amount in amounts:
                child.set(amount) if isinstance(metric, Gauge) else child.observe(amount)
    assert ours(registry, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", ["", OPEN])
def test_page_stays_whole_while_its_metrics_are_written(accept: str, registry: CollectorRegistry) -> None:
    histogram = Histogram("mine", "About.", ("a",), registry=registry)
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for number in range(50):
                histogram.labels(str(number)).observe(0.3, {"trace_id": "ab"})

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write) for _ in range(2)]
        try:
            for _ in range(20):
                (family,) = [one for one in parsed(ours(registry, accept)) if one.name == "mine"]
                for sample in family.samples:  # what was counted is in the last bucket too
                    assert sample.value >= 0
        finally:
            over.set()
        assert [writer.result() for writer in writers] == [None, None]
    same(registry)


def test_page_stays_whole_while_metrics_and_series_come_and_go(registry: CollectorRegistry) -> None:
    steady = Gauge("steady", "About.", ("a",), registry=registry)
    for number in range(200):
        steady.labels(str(number)).set(number)
    passing = Counter("passing", "About.", ("a",), registry=registry)
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for number in range(20):
                passing.labels(str(number)).inc()
            passing.remove("3")
            passing.clear()
            gauge = Gauge("registered", "About.", registry=registry)
            registry.unregister(gauge)

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(change)
        try:
            for number in range(30):
                page = ours(registry, OPEN if number % 2 else "")
                assert page.count("\nsteady{") == 200
                parsed(page)
        finally:
            over.set()
        changing.result()


@pytest.mark.parametrize("accept", ["", OPEN])
def test_compressed_page_is_the_page(accept: str, registry: CollectorRegistry) -> None:
    for fill in (histograms, hostile_labels):
        fill(registry)
        page, headers = MetricsPage(registry).render(accept=accept, accept_encoding="gzip")
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(page).decode() == theirs(registry, accept)
        registry = CollectorRegistry()


def test_page_pauses_where_others_may_wait_and_the_scraper_still_can(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clocks = SimpleNamespace(
        sleep=pauses.append, perf_counter=time.perf_counter, process_time=time.process_time
    )
    monkeypatch.setattr(page, "time", clocks)  # of the page alone: other tests' threads sleep meanwhile
    monkeypatch.setattr(page, "_SLICE_SECONDS", 0.0)
    monkeypatch.setattr(page, "_PAUSING_SECONDS", 600.0)
    hostile_labels(registry)
    ours(registry)
    assert not pauses  # in the main thread
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
        assert len(pauses) > len(HOSTILE) ** 2
        pauses.clear()
        monkeypatch.setattr(page, "_PAUSING_SECONDS", 0.0)
        threads.submit(ours, registry).result()
        assert not pauses


class Clocks:
    """Time that passes while somebody sleeps, when other threads compute for a share of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
        self.pauses: list[float] = []
        self.used = 0.0
        self._share = share
        clocks = SimpleNamespace(
            sleep=self._sleep, perf_counter=lambda: sum(self.pauses), process_time=lambda: self.used
        )
        monkeypatch.setattr(page, "time", clocks)  # of the page alone: other tests' threads sleep meanwhile
        monkeypatch.setattr(page, "_SLICE_SECONDS", 0.0)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.used += seconds * self._share


@pytest.mark.parametrize(("share", "is_busy"), [(0.0, False), (0.1, False), (0.5, True), (1.0, True)])
def test_page_pauses_longer_where_others_are_busy(
    share: float, is_busy: bool, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice takes 0.4 ms, so that those who are busy keep nine tenths of the interpreter."""
    hostile_labels(registry)
    clocks = Clocks(monkeypatch, share)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
    short, rest = clocks.pauses[0], clocks.pauses[1]
    assert short == 0.001
    assert (rest > 0.004) is is_busy
    assert (set(clocks.pauses) == {short}) is not is_busy


def test_pauses_end_with_the_patience_of_the_scraper(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_labels(registry)
    clocks = Clocks(monkeypatch, 1.0)
    monkeypatch.setattr(page, "_PAUSING_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ours, registry).result()
    longer = clocks.pauses[1::2]
    assert longer == sorted(longer, reverse=True)
    assert longer[-1] < longer[0] / 4  # a big page becomes faster and faster
    assert 0.1 <= sum(clocks.pauses) < 0.11
    assert len(clocks.pauses) < len(HOSTILE) ** 2


def test_page_made_in_a_thread_beside_others_is_the_same(registry: CollectorRegistry) -> None:
    hostile_labels(registry)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ours, registry).result() == ours(registry)


@pytest.mark.parametrize(
    ("accept_encoding", "is_gzip"),
    [
        ("", False),
        ("identity", False),
        ("br", False),
        ("x-gzip2", False),
        ("gzip", True),
        ("GZip", True),
        ("br, gzip;q=0.5", True),
        ("gzip; q=1.0", True),
        ("*", True),
        ("*;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0", False),
        ("gzip;Q=0.0", False),
        ("gzip ; q = 0.000", False),
        ("*;q=0", False),
        ("identity, *;q=0", False),
        ("*;q=0, gzip", True),
        ("*, gzip;q=0", False),
        ("gzip;q=0, *", False),
        (",;,gzip", True),
        ("\x00;=;q", False),
    ],
)
def test_page_is_compressed_where_that_is_taken(accept_encoding: str, is_gzip: bool) -> None:
    own = observer(access_log=False)
    reply = own.gateway.reply(request(headers={"accept-encoding": accept_encoding}), "/metrics")
    assert reply.headers["Vary"] == "Accept, Accept-Encoding"
    assert reply.headers.get("Content-Encoding") == ("gzip" if is_gzip else None)
    plain = gzip.decompress(reply.body) if is_gzip else reply.body
    assert b"http_server_active_requests" in plain
