"""prometheus-client's own counters, gauges, summaries and histograms, read from the inside.

This and the other client_*.py alone read private attributes of prometheus-client's metrics. A class is read so only
after specimens of it came out byte for byte as prometheus-client writes them. A series that is not as expected (a gauge
with a function, a value of another class) is left to prometheus-client's own encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from prometheus_client import values

from obs_middleware._speedups import note
from obs_middleware.metrics.exposition.client_metric import uses_created
from obs_middleware.metrics.exposition.client_readers import READERS
from obs_middleware.metrics.exposition.formats import OPENMETRICS, TEXT, Format
from obs_middleware.metrics.exposition.text import need_no_quotes

_AMOUNTS = (2.5, 0.0, 0.00003, 1e-7, 1_234_567.5, 1e16, float("inf"))  # each spelled in a way of its own
_METHODS = ("collect", "describe", "_samples", "_multi_samples", "_child_samples")


def blocks(metric: Any, page_format: Format) -> Iterator[str] | None:
    """Return the text of a metric, a few series at a time; None for one that we do not know."""
    kind: Any = type(metric)
    if kind not in READERS or values.ValueClass is not values.MutexValue:
        return None
    try:
        if not _is_plain(metric, page_format):
            return None
        code = tuple(getattr(kind, name) for name in _METHODS)
        if not _is_alike(kind, code, page_format.is_openmetrics, uses_created()):
            return None
        return READERS[kind].reader(metric, page_format).blocks()
    except Exception:  # another release
        note("client_metrics", False)
        return None


def _is_plain(metric: Any, page_format: Format) -> bool:
    names = metric._labelnames
    return (
        page_format.has_bare_names
        and need_no_quotes(metric._name, *names)
        and len(set(names)) == len(names)
        and all(_is_untouched(metric, method) for method in _METHODS)
    )


def _is_untouched(metric: Any, method: str) -> bool:
    """Tell whether a method is its class's; without `__dict__`, which would be made for it and stay."""
    return getattr(getattr(metric, method), "__func__", None) is getattr(type(metric), method)


@lru_cache(maxsize=64)
def _is_alike(kind: type[Any], code: tuple[Any, ...], is_openmetrics: bool, has_created: bool) -> bool:
    """Tell whether a class, with this code for methods, comes out as prometheus-client writes it."""
    page_format = OPENMETRICS if is_openmetrics else TEXT
    is_alike = all(
        "".join(READERS[kind].reader(specimen, page_format).blocks()) == page_format.text(*specimen.collect())
        for specimen in _specimens(kind)
    )
    note("client_metrics", is_alike)
    return is_alike


def _specimens(kind: Any) -> Iterator[Any]:
    for names in ((), ("a", "z")):
        specimen = kind("specimen", 'A "specimen".', names, registry=None)
        for amount in _AMOUNTS if names else _AMOUNTS[:1]:
            READERS[kind].fill(specimen.labels(f'"{amount}', "\\") if names else specimen, amount)
        yield specimen
