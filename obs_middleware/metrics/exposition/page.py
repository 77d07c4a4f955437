"""The metrics page: Prometheus text or OpenMetrics on one URL, as the scraper accepts, made beside other work."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO

from prometheus_client import CollectorRegistry

from obs_middleware.metrics.exposition.formats import Format, choose
from obs_middleware.metrics.exposition.registry import blocks
from obs_middleware.metrics.exposition.single_flight import SingleFlight

_GZIP_LEVEL = 1  # of 7.2 MB it makes 322 kB in 13 ms; level 4 282 kB in 25, level 6 259 kB in 40
_GZIP_WINDOW = 31  # zlib's word for gzip

_SLICE_SECONDS = 0.00025  # with what is joined and compressed afterwards 0.4 ms
_PAUSE_SECONDS = 0.001
_BUSY_SHARE = 0.25  # of a pause: other threads that have computed for as long are busy
_BUSY_PAUSE_SECONDS = 0.006
_PATIENCE_SECONDS = 4.0  # then no more pauses: a scraper does not wait for ever


class MetricsPage:
    """The page of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._pages = SingleFlight[bytes]()

    def render(self, *, accept: str, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
        """Return the page and its headers.

        Args:
            accept: the Accept header; `application/openmetrics-text` gives OpenMetrics, with exemplars.
            accept_encoding: the Accept-Encoding header.
        """
        format, content_type = choose(accept)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        is_zipped = _takes_gzip(accept_encoding)
        if is_zipped:
            headers["Content-Encoding"] = "gzip"
        page = self._pages.get((content_type, is_zipped), lambda: self._make(format, is_zipped))
        return page, headers

    def _make(self, format: Format, is_zipped: bool) -> bytes:
        pieces = _pieces(blocks(self._registry, format))
        page = BytesIO()  # grows in its place and hands out what it holds: megabytes are not copied
        page.writelines(_zipped(pieces) if is_zipped else pieces)
        return page.getvalue()


def _pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """Join text to pieces that take a slice of time, and pause after each, so that other threads run meanwhile.

    A thread that computes keeps the others waiting for sys.getswitchinterval(), 5 ms, each time they want to go on.
    In the main thread, of a server that has no other, nobody waits.
    """
    clock = time.perf_counter
    is_alone = threading.get_ident() == threading.main_thread().ident
    last_pause = 0.0 if is_alone else clock() + _PATIENCE_SECONDS
    own: list[str] = []
    end = clock() + _SLICE_SECONDS
    for text in texts:
        own.append(text)
        if clock() >= end:
            yield "".join(own).encode()
            own.clear()
            _pause(last_pause - clock())
            end = clock() + _SLICE_SECONDS
    yield "".join(own).encode()


def _pause(patience: float) -> None:
    """Sleep for a moment, and longer where others are busy: what the page takes, their requests wait for.

    Args:
        patience: seconds in which the page should be done; pauses become shorter with them, so that a big page ends.
    """
    if patience <= 0:
        return
    before = time.process_time()
    time.sleep(_PAUSE_SECONDS)
    if time.process_time() - before >= _PAUSE_SECONDS * _BUSY_SHARE:
        time.sleep(_BUSY_PAUSE_SECONDS * patience / _PATIENCE_SECONDS)


def _zipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    yield from map(compressor.compress, pieces)
    yield compressor.flush()


def _takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, section 12.5.3."""
    parts = (part.partition(";") for part in accept_encoding.lower().replace(" ", "").split(","))
    weights = {coding: weight for coding, _, weight in parts}
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
