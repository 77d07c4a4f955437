"""The metrics page: Prometheus text, OpenMetrics or protobuf on one URL, as is accepted, made beside other work."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from io import BytesIO
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from obs_middleware.errors import Report
from obs_middleware.metrics.exposition.formats import TEXT, Format, Protobuf, choose
from obs_middleware.metrics.exposition.single_flight import SingleFlight
from obs_middleware.metrics.snapshot import Snapshot

_GZIP_LEVEL = 1  # higher levels take several times as long for a page that is hardly smaller
_GZIP_WINDOW = 31  # zlib's word for gzip

_SLICE_SECONDS = 0.00025  # joining and compressing come on top
_PAUSE_SECONDS = 0.001
_BUSY_SHARE = 0.25  # of a pause: other threads that have computed for as long are busy
_BUSY_PAUSE_SECONDS = 0.006
_PAUSING_SECONDS = 4.0  # then no more pauses: a scraper does not wait for ever

_Part = TypeVar("_Part", str, bytes)


class MetricsPage:
    """The page of one registry.

    Args:
        report: is told of a collector that has raised; without it, there is no page.
    """

    def __init__(self, registry: CollectorRegistry, report: Report | None = None) -> None:
        self._registry = registry
        self._report = report
        self._pages = SingleFlight[bytes]()

    def render(self, *, accept: str, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
        """Return the page and its headers.

        Args:
            accept: the Accept header; `application/openmetrics-text` gives OpenMetrics, with exemplars, and protobuf
                has native histograms beside.
            accept_encoding: the Accept-Encoding header.
        """
        page_format, content_type = choose(accept)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        is_zipped = _takes_gzip(accept_encoding)
        if is_zipped:
            headers["Content-Encoding"] = "gzip"
        page = self._pages.get((content_type, is_zipped), lambda: self._make(page_format, is_zipped))
        return page, headers

    def _make(self, page_format: Format | Protobuf, is_zipped: bool) -> bytes:
        snapshot = Snapshot.of(self._registry, self._report)
        parts: Any
        if isinstance(page_format, Protobuf):
            slices = _slices(parts := snapshot.messages(page_format), b"".join)
        else:
            slices = _slices(parts := snapshot.blocks(page_format), _encoded)
        page = BytesIO()  # grows in its place and hands out what it holds: megabytes are not copied
        with closing(parts):
            page.writelines(_zipped(slices) if is_zipped else slices)
        return page.getvalue()


def text_of(families: Iterable[Metric]) -> bytes:
    """Return families as Prometheus text, made beside other work as the page is."""
    return b"".join(_slices((part for family in families for part in TEXT.parts(family)), _encoded))


def _encoded(texts: Iterable[str]) -> bytes:
    return "".join(texts).encode(errors="backslashreplace")  # a label may be no valid text


def _slices(parts: Iterable[_Part], join: Callable[[list[_Part]], bytes]) -> Iterator[bytes]:
    """Join parts to slices that take a slice of time, and pause after each, so that other threads run meanwhile.

    A thread that computes keeps the others waiting for sys.getswitchinterval() each time they want to go on.
    Nobody waits for the main thread of a server that has no other.
    """
    clock = time.perf_counter
    is_alone = threading.get_ident() == threading.main_thread().ident
    last_pause = 0.0 if is_alone else clock() + _PAUSING_SECONDS
    parts_of_slice: list[_Part] = []
    end = clock() + _SLICE_SECONDS
    for part in parts:
        parts_of_slice.append(part)
        if clock() >= end:
            yield join(parts_of_slice)
            parts_of_slice.clear()
            _pause(last_pause - clock())
            end = clock() + _SLICE_SECONDS
    yield join(parts_of_slice)


def _pause(seconds_left: float) -> None:
    """Sleep for a moment, and longer where others are busy: what the page takes, their requests wait for.

    Args:
        seconds_left: in which the page should be done; pauses become shorter with them, so that a big page ends.
    """
    if seconds_left <= 0:
        return
    before = time.process_time()
    time.sleep(_PAUSE_SECONDS)
    if time.process_time() - before >= _PAUSE_SECONDS * _BUSY_SHARE:
        time.sleep(_BUSY_PAUSE_SECONDS * seconds_left / _PAUSING_SECONDS)


def _zipped(slices: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    yield from map(compressor.compress, slices)
    yield compressor.flush()


def _takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, section 12.5.3."""
    parts = (part.partition(";") for part in accept_encoding.lower().replace(" ", "").split(","))
    weights = {coding: weight for coding, _, weight in parts}
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
