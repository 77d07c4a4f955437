"""What the HTTP server's instruments have counted, and how records are measured in them.

Series are bounded whatever clients send. Methods are known ones or `_OTHER`, and routes are templates. Past a cap every
further label set is counted in one overflow set.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware._speedups import fast, share_layout
from obs_middleware.errors import ConfigError
from obs_middleware.fork_lock import ForkLock
from obs_middleware.metrics.fast_path import FastPaths
from obs_middleware.metrics.instrument import labelled
from obs_middleware.metrics.own_counter import OwnCounter
from obs_middleware.metrics.table import HISTOGRAMS, HistogramTable, ResultLabels
from obs_middleware.metrics.table_storage import OVERFLOW_ROW
from obs_middleware.metrics.websocket import OpenWebsocket, WebsocketMetrics
from obs_middleware.metrics.worker_metrics import worker_metrics
from obs_middleware.queue import flush
from obs_middleware.record import DetailedRecord

if TYPE_CHECKING:
    from obs_middleware.metrics.exposition.http_server import HttpServerFamilies
    from obs_middleware.metrics.exposition.protobuf import Names
    from obs_middleware.metrics.plan import Plan
    from obs_middleware.record import RequestRecord

_SCHEMES = ("http", "https", "ws", "wss")
_OVERFLOW: tuple[ResultLabels, str] = OVERFLOW_ROW[:3], OVERFLOW_ROW[3]

ActiveKey = str  # a known method, a blank and a scheme: no container, which the collector would count


@share_layout
class Instruments(Collector):
    """The metrics of one registry and their table; made once for it, shared by all Observers that use it."""

    __slots__ = (
        "active",
        "buckets",
        "bytes_buckets",
        "internal_errors",
        "lock",
        "max_rows",
        "number",
        "overflow",
        "plan",
        "refused",
        "started",
        "table",
        "websockets",
    )

    def __init__(self, registry: CollectorRegistry, plan: Plan) -> None:
        self.plan = plan
        self.buckets, self.bytes_buckets = plan.seconds, plan.sizes
        # Of the active requests; a finalizer that runs in the middle may take it again.
        self.lock = ForkLock()
        # Requests that have started and are not yet counted in: an append needs no lock.
        self.started: deque[ActiveKey] = deque()
        self.active: dict[ActiveKey, list[int]] = {}  # counted in and out
        self.table = self.new_table()
        self.max_rows = 0  # the most of any Observer's
        self.refused = OwnCounter(
            "obs_access_refused", "Callers whom a page of obs-middleware was refused to.", "reason"
        )
        self.internal_errors = OwnCounter(
            "obs_internal_errors", "Failures inside obs-middleware itself.", "component"
        )
        self.overflow = OwnCounter(
            "obs_series_overflow", "Measurements folded into the overflow set.", "metric"
        )
        self.websockets = WebsocketMetrics(registry) if plan.counts_websockets else None
        self._register(registry)
        self.number = worker_metrics.add(registry, self)

    def new_table(self) -> HistogramTable:
        """Return a table for these instruments, with no rows."""
        times, sizes = len(self.buckets) + 1, len(self.bytes_buckets) + 1
        return HistogramTable((times, times, sizes, sizes), self.plan.exemplar_cells)

    def collect(self) -> Iterator[Metric]:
        """Yield the families, as every collector of prometheus-client does."""
        flush()
        yield from self._families.families()

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the same as the text of the page, a series at a time."""
        flush()
        yield from self._families.blocks(is_openmetrics)

    def messages(self, names: Names) -> Iterator[bytes]:
        """Yield the same as messages of protobuf, with native histograms beside classic ones."""
        flush()
        yield from self._families.messages(names)

    def describe(self) -> Iterator[Metric]:
        """Yield the families with no samples: the names that the registry keeps for us."""
        for instrument in self.plan.instruments:
            yield Metric(instrument.name, instrument.about, instrument.kind)
        for gauge in self.plan.gauges:
            yield Metric(gauge.name, gauge.about, "gauge")

    def count_in(self) -> None:
        """Count in the requests that have started."""
        if worker_metrics.is_due:
            worker_metrics.look_in_flush()
        started, active = self.started, self.active
        next_key = started.popleft
        with self.lock:
            while started:
                key = next_key()
                try:
                    active[key][0] += 1
                except KeyError:  # the first of its kind
                    self.cell(key)[0] += 1

    def cell(self, active_key: ActiveKey) -> list[int]:
        """Return where requests of a method and a scheme are counted, in and out."""
        cell = self.active.get(active_key)
        if cell is None:
            method, scheme = active_key.split(" ", 1)
            bounded_key = active_key if scheme in _SCHEMES else f"{method} _OTHER"
            cell = self.active.setdefault(bounded_key, [0, 0])
        return cell

    @cached_property
    def _families(self) -> HttpServerFamilies:
        from obs_middleware.metrics.exposition.http_server import (
            HttpServerFamilies,  # when somebody looks, and not before
        )

        return HttpServerFamilies(self.table, self.plan, self.active_now)

    def active_now(self) -> Iterator[tuple[list[str], int]]:
        """Yield method and scheme, and how many requests of them are being served."""
        self.count_in()
        for labels, cell in list(self.active.items()):
            yield labels.split(" ", 1), cell[0] - cell[1]

    def _register(self, registry: CollectorRegistry) -> None:
        done: list[Collector] = []
        try:
            collectors: tuple[Collector, ...] = (
                self,
                self.internal_errors,
                self.refused,
                self.overflow,
                FastPaths(),
            )
            for collector in collectors:
                registry.register(collector)
                done.append(collector)
        except ValueError:
            for collector in done:
                registry.unregister(collector)
            raise


@share_layout
class HttpMetrics:
    """Measure requests.

    Raises:
        ConfigError: another Observer uses the registry with another plan, or another library has taken a name.
    """

    __slots__ = ("__weakref__", "_max_series", "begin", "instruments")

    def __init__(self, registry: CollectorRegistry, plan: Plan, *, max_series: int) -> None:
        self.instruments = _instruments(registry, plan)
        # Notes a request that starts, by its active key; it is counted in with others.
        self.begin: Callable[[ActiveKey], object] = self.instruments.started.append
        self._max_series = max_series
        self.instruments.max_rows = max(max_series, self.instruments.max_rows)
        worker_metrics.look_at_first_request(self)

    def look_for_workers(self) -> None:
        """Find out whether other processes belong to this one, and join them."""
        worker_metrics.look()

    def start_anew(self) -> None:
        """Have the next request looked at as the first of its process."""
        self.begin = self._begin_first

    def _begin_first(self, active_key: ActiveKey) -> None:
        """Note the first request of a process; what it counts, others see from the beginning.

        Requests that start meanwhile in other threads wait here too: a forked child that joins begins at 0, and what
        they count before that is lost.
        """
        self.instruments.started.append(active_key)
        worker_metrics.look()
        self.begin = self.instruments.started.append

    @fast("http.c: http_record")
    def record(self, records: Iterator[RequestRecord]) -> None:
        """Count requests out and measure them; a sink, which one thread runs at a time.

        A websocket that was accepted is a connection, not a request.
        """
        instruments, table = self.instruments, self.instruments.table
        bounds, row_of, (_, second, third, fourth) = instruments.buckets, table.row_of, table.firsts
        bytes_bounds = instruments.bytes_buckets
        instruments.count_in()
        for record in records:
            if record.active_key is not None:
                instruments.cell(record.active_key)[1] += 1
            if record.status == 101:
                continue
            result = record.method, record.status, record.error_type
            route = record.route or ""
            if record.__class__ is DetailedRecord:
                own: Any = record
                route = labelled(route, own.labels) if own.labels else route
            try:
                row = row_of[result][route]
            except KeyError:
                row = self._new_row(result, route)
            counts, sums, cells, total = table.counts, table.sums, row * table.cells, row * HISTOGRAMS
            seconds, first_byte = record.duration, record.time_to_first_byte
            received, sent = record.request_bytes, record.response_bytes
            times = {bisect_left(bounds, seconds): seconds}  # by bucket
            sums[total] += seconds
            if first_byte is not None:
                times[second + bisect_left(bounds, first_byte)] = first_byte
                sums[total + 1] += first_byte
            sums[total + 2] += received
            sums[total + 3] += sent
            sizes = third + bisect_left(bytes_bounds, received), fourth + bisect_left(bytes_bounds, sent)
            for cell in (*times, *sizes):
                try:
                    counts[cells + cell] += 1
                except OverflowError:
                    counts = table.widen()
                    counts[cells + cell] += 1
            if record.is_sampled:
                table.keep_exemplars(row, record, times)

    def discard(self, record: RequestRecord) -> None:
        """Count a request out that is measured in another process, or not at all."""
        if record.active_key is not None:
            instruments = self.instruments
            instruments.count_in()
            with instruments.lock:
                instruments.cell(record.active_key)[0] -= 1  # not [1], which is its writer's alone

    def websocket_opened(self, route: str | None) -> OpenWebsocket | None:
        """Count a websocket that was accepted; None where nobody wants to know."""
        websockets = self.instruments.websockets
        return None if websockets is None else websockets.opened(route or "")

    def progress(self) -> tuple[int, int]:
        """Return how many requests have begun, and how many were counted out; it takes no lock."""
        instruments = self.instruments
        cells = list(instruments.active.values())
        return len(instruments.started) + sum(begun for begun, _ in cells), sum(ended for _, ended in cells)

    def count_failure(self, component: str) -> None:
        """Count a failure of our own."""
        self.instruments.internal_errors.inc(component)

    def count_refusal(self, reason: str) -> None:
        """Count a caller whom a page of ours was refused to."""
        self.instruments.refused.inc(reason)

    def _new_row(self, result: ResultLabels, route: str) -> int:
        table = self.instruments.table
        if len(table) < self._max_series:
            return table.add(result, route)
        self.instruments.overflow.inc("http_server")
        result, route = _OVERFLOW
        row = table.row_of.get(result, {}).get(route)
        return table.add(result, route) if row is None else row


_made: WeakKeyDictionary[CollectorRegistry, Instruments] = WeakKeyDictionary()
_making = Lock()


def _instruments(registry: CollectorRegistry, plan: Plan) -> Instruments:
    with _making:
        instruments = _made.get(registry)
        if instruments is None:
            try:
                instruments = _made[registry] = Instruments(registry, plan)
            except ValueError as error:
                raise ConfigError(
                    f"the registry holds a metric of our name already ({error}): "
                    "hand another one in, Observer(registry=CollectorRegistry())"
                ) from error
    for name, value in instruments.plan.settings.items():
        if plan.settings[name] != value:
            raise ConfigError(
                f"{name} must be {value}, as another Observer has it on this registry, got {plan.settings[name]}: "
                "hand another registry in, Observer(registry=CollectorRegistry())"
            )
    return instruments
