"""Snapshot: the metrics of one registry at one moment, which the page, exporters and consoles read.

snapshot = Snapshot.of(registry)
for family in snapshot:               # a prometheus_client.Metric: name, documentation, type, unit
    for sample in family.samples:     # name, labels, value, timestamp, exemplar
        print(sample.name, sample.labels, sample.value)
snapshot.value("orders_total", {"status": "paid"})

Where several processes are one service, it holds the numbers of them all, whichever process takes it. Where these
can't be had, because another has the directory's lock for seconds, it raises: a scrape that fails is better than a
counter that goes back. Reading runs collectors and files: do it off the event loop and never inside a request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from obs_middleware.metrics.exposition.registry import blocks, families, messages
from obs_middleware.metrics.self_telemetry import collection_of
from obs_middleware.metrics.worker_metrics import worker_metrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from obs_middleware.errors import Report
    from obs_middleware.metrics.exposition.formats import Format, Protobuf
    from obs_middleware.metrics.exposition.shared import SharedRegistry


class Snapshot:
    """What a registry holds now.

    Args:
        report: is told of a collector that has raised, which costs its own families; without it, it raises.

    Attributes:
        taken: seconds since 1970.

    Raises:
        TimeoutError, OSError: the numbers of other workers can't be had.
    """

    def __init__(self, registry: Any, report: Report | None = None) -> None:
        self.taken = time.time()
        self._registry = registry
        self._report = report
        self._collection = collection_of(registry)  # counted before the numbers of all workers are read
        self._shared = _shared(registry)

    @classmethod
    def of(cls, registry: Any, report: Report | None = None) -> Snapshot:
        """Take the snapshot of a registry."""
        return cls(registry, report)

    def __iter__(self) -> Iterator[Metric]:
        """Yield the families with their samples; call it once for each snapshot."""
        shared, collection = self._shared, self._collection
        found = families(self._registry, self._report) if shared is None else shared.families()
        return found if collection is None else collection.families(found)

    def blocks(self, page_format: Format) -> Iterator[str]:
        """Yield the same as the text of a page, a few series at a time: much faster than encoding families."""
        shared, collection = self._shared, self._collection
        found = (
            blocks(self._registry, page_format, self._report)
            if shared is None
            else shared.blocks(page_format)
        )
        return found if collection is None else collection.blocks(found, page_format)

    def messages(self, page_format: Protobuf) -> Iterator[bytes]:
        """Yield the same as messages of protobuf, with native histograms beside classic ones."""
        from obs_middleware.metrics.exposition import protobuf  # memory that few processes need

        names, shared, collection = (
            protobuf.Names(has_any=page_format.has_any_names),
            self._shared,
            self._collection,
        )
        found = messages(self._registry, names, self._report) if shared is None else shared.messages(names)
        return found if collection is None else collection.messages(found, names)

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """Return the value of one sample by its whole name (`orders_total`), None where there is none."""
        wanted = dict(labels or {})
        for family in self:
            for sample in family.samples:
                if sample.name == name and sample.labels == wanted:
                    return float(sample.value)
        return None


def _shared(registry: Any) -> SharedRegistry | None:
    """Return what a registry has over all workers; None where the process is alone, or is left alone."""
    found = worker_metrics.of(registry)
    if found is None:
        return None
    from obs_middleware.metrics.exposition.shared import SharedRegistry

    try:
        return SharedRegistry(*found)
    except FileNotFoundError as error:  # somebody has removed the directory
        worker_metrics.report(error)
        return None
