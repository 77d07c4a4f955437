"""The metrics page: Prometheus text or OpenMetrics on one URL, as the scraper accepts."""

from __future__ import annotations

import gzip

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_GZIP_LEVEL = 1  # higher ones cost more time than the scraper's network saves


def render(registry: CollectorRegistry, *, accept: str, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """Return the page and its headers.

    Args:
        accept: the Accept header; `application/openmetrics-text` gives OpenMetrics, with exemplars.
        accept_encoding: the Accept-Encoding header.
    """
    encode, content_type = choose_encoder(accept)
    page = encode(registry)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if _takes_gzip(accept_encoding):
        return gzip.compress(page, _GZIP_LEVEL), {**headers, "Content-Encoding": "gzip"}
    return page, headers


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
