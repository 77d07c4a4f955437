"""A registry over all workers: cells added up, the HTTP table added up, and what each worker has published.

What only a worker itself can tell (its process's memory, its custom collectors) has a series for each, with the label
`worker`. That is the worker's number: a new one takes the number of one that has ended, so that series stay few.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from obs_middleware.metrics.exposition.cell_families import family_blocks, metric_of, of_worker
from obs_middleware.metrics.exposition.formats import EOF, Format
from obs_middleware.metrics.exposition.http_server import HttpServerFamilies
from obs_middleware.metrics.published import LOWEST, OWN, PER_WORKER, SUM, unpacked
from obs_middleware.metrics.table import HistogramTable
from obs_middleware.metrics.table_storage import ROW_CELLS, table_name

if TYPE_CHECKING:
    from obs_middleware.metrics.exposition.protobuf import Names
    from obs_middleware.metrics.table_storage import SharedInstruments
    from obs_middleware.workers.family import Family
    from obs_middleware.workers.merge import Merge
    from obs_middleware.workers.service import Service


class _ExemplarOf(NamedTuple):
    """What a table asks of a record whose values it keeps as exemplars."""

    ids: str
    ended: float


class SharedRegistry:
    """The metrics of one registry over all workers, at one moment.

    Raises:
        TimeoutError, OSError: as Service.read does.
    """

    _merge: Merge

    def __init__(self, joined: Service, registry: CollectorRegistry, instruments: SharedInstruments) -> None:
        self._registry = registry
        self._instruments = instruments
        self._joined = joined
        joined.read()
        number = str(instruments.number)
        published = joined.published()
        self._published: dict[int, Any] = {
            worker: documents[number] for worker, documents in published.items() if number in documents
        }
        self._placed = {name for documents in published.values() for name in _names_in(documents)}
        self._own, self._number = joined.name, joined.number

    def families(self) -> Iterator[Metric]:
        """Yield all as prometheus-client's families."""
        found: list[Metric] = []
        with self._joined.held() as self._merge:
            for part in self._parts():
                found += [part] if isinstance(part, Metric) else part.families()
        yield from found  # outside, because who asks may never ask for the last

    def messages(self, names: Names) -> Iterator[bytes]:
        """Yield the same as messages of protobuf, with native histograms beside classic ones."""
        from obs_middleware.metrics.exposition.protobuf import messages  # memory that few processes need

        with self._joined.held() as self._merge:
            for part in self._parts():
                yield from messages(part, names) if isinstance(part, Metric) else part.messages(names)

    def _parts(self) -> Iterator[Metric | HttpServerFamilies]:
        yield from self._target_info()
        exemplars, of_tables = self._merge.exemplars()
        families = self._families()
        for head in self._heads():
            family = families.get(head.name)
            if family is None:
                yield head
            else:
                yield metric_of(family, self._merge, exemplars.get(family.key, {}), unit=head.unit)
        yield self._http(of_tables)
        yield from self._of_workers()

    def blocks(self, page_format: Format) -> Iterator[str]:
        """Yield the same as text, some series at a time; whoever asks must ask for all, or close it."""
        with self._joined.held() as self._merge:
            yield from self._blocks(page_format)

    def _blocks(self, page_format: Format) -> Iterator[str]:
        exemplars, of_tables = self._merge.exemplars() if page_format.is_openmetrics else ({}, {})
        for family in self._target_info():
            yield page_format.text(family)
        families = self._families()
        for head in self._heads():
            found = families.get(head.name)
            if found is None:
                yield page_format.text(head)
            else:
                yield from family_blocks(
                    found, self._merge, page_format, exemplars.get(found.key, {}), unit=head.unit
                )
        http = self._http(of_tables)
        if page_format.has_bare_names:
            yield from http.blocks(page_format.is_openmetrics)
        else:
            for family in http.families():
                yield from page_format.parts(family)
        for family in self._of_workers():
            yield from page_format.parts(family)
        if page_format.is_openmetrics:
            yield EOF

    def _target_info(self) -> Iterator[Metric]:
        target = self._registry.get_target_info()
        if target:
            yield from CollectorRegistry(target_info=target).collect()

    def _heads(self) -> Iterator[Metric]:
        """Yield all metrics in cells, without samples, of which some worker knows that they are ours."""
        seen: set[str] = set()
        if self._instruments.number == 0:
            # Of dead workers, which nobody else has made yet. One of a later release may have another kind of it.
            made = {packed[0] for published in self._published.values() for packed in published["families"]}
            for family in list(self._merge.families.values()):
                key = family.key
                if key.name not in self._placed | made | seen:
                    seen.add(key.name)
                    yield Metric(key.name, family.documentation, key.type)
        for published in self._published.values():
            for name, kind, documentation, unit in published["names"]:
                if name not in seen:
                    seen.add(name)
                    yield Metric(name, documentation, kind, unit)

    def _families(self) -> dict[str, Family]:
        """Return the families by name; of two with one name, which a reload has left, the one that living ones have."""
        families: dict[str, Family] = {}
        for family in list(self._merge.families.values()):
            before = families.get(family.key.name)
            if before is None or self._weight(family) >= self._weight(before):
                families[family.key.name] = family
        return families

    def _weight(self, family: Family) -> tuple[bool, int]:
        return family.has(self._own), sum(map(family.has, self._merge.readers))

    def _http(self, exemplars: dict[str, list[Any]]) -> HttpServerFamilies:
        instruments = self._instruments
        name = table_name(instruments.number, instruments)
        table, places = self._table(name)
        rows = {member: self._merge.tables.rows.get((member, name), {}) for member in exemplars}
        found = [
            (seconds or 0.0, member, *rest) for member, some in exemplars.items() for *rest, seconds in some
        ]
        for seconds, member, place, labels, value in sorted(found, key=itemgetter(0)):  # the newest one stays
            row, cell = divmod(place, ROW_CELLS)
            if rows[member].get(row) in places:
                ids = labels.get("trace_id", "") + labels.get("span_id", "")
                record: Any = _ExemplarOf(ids, seconds)
                table.keep_exemplars(places[rows[member][row]], record, {cell: value})
        return HttpServerFamilies(table, instruments.plan, self._active)

    def _table(self, name: str) -> tuple[HistogramTable, dict[tuple[Any, ...], int]]:
        """Return a table with the rows of all workers, and where each is."""
        table = self._instruments.new_table()
        places = {}
        for row in self._merge.tables.merged(self._merge.readers.values(), name):
            method, status, error_type, route = row.labels
            places[row.labels] = table.add_counted((method, status, error_type), route, row.counts, row.sums)
        return table, places

    def _active(self) -> Iterator[tuple[list[str], int]]:
        for family in self._of_workers(only="http_server_active_requests"):
            for sample in family.samples:
                yield [*sample.labels.values()], int(sample.value)

    def _of_workers(self, *, only: str | None = None) -> Iterator[Metric]:
        """Yield the families that workers have published, put together by their mode."""
        merged: dict[str, Metric] = {}
        samples: dict[str, dict[Any, Any]] = {}
        for worker, published in self._published.items():
            for packed in published["families"]:
                is_active = packed[0] == "http_server_active_requests"
                if is_active is (only is None):
                    continue
                family, mode = unpacked(packed)
                if mode == OWN and worker != self._number:
                    continue
                kept = merged.setdefault(family.name, family)
                _add(samples.setdefault(kept.name, {}), family, mode, worker)
        for name, family in merged.items():
            family.samples = list(samples[name].values())
            yield family


def _names_in(documents: dict[str, Any]) -> Iterator[str]:
    """Yield the names of all metrics of a worker of which is known in which registry they are."""
    for number, published in documents.items():
        yield from published if number == "elsewhere" else (name for name, *_ in published["names"])


def _add(samples: dict[Any, Any], family: Metric, mode: str, worker: int) -> None:
    for sample in family.samples:
        labels = of_worker(sample.labels, str(worker)) if mode == PER_WORKER else dict(sample.labels)
        key = sample.name, frozenset(labels.items())
        value = sample.value
        if key in samples and mode == SUM:
            value += samples[key].value
        elif key in samples and mode == LOWEST:
            value = min(value, samples[key].value)
        samples[key] = sample._replace(labels=labels, value=value)
