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
    try:
        encode, content_type = choose_encoder(accept)
    except Exception:  # a version that is no number
        encode, content_type = choose_encoder("")
    page = encode(registry)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if _takes_gzip(accept_encoding):
        return gzip.compress(page, _GZIP_LEVEL), {**headers, "Content-Encoding": "gzip"}
    return page, headers


def _takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, section 12.5.3."""
    parts = (part.partition(";") for part in accept_encoding.lower().replace(" ", "").split(","))
    weights = {coding: weight for coding, _, weight in parts}
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
