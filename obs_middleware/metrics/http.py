"""What the HTTP server's instruments have counted, and how exchanges are recorded in them.

Series are bounded whatever clients send: methods are known ones or `_OTHER`, routes are templates, and past a cap every
further label set is counted in one overflow set.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from threading import Lock, RLock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware import native
from obs_middleware.ledger import settle_all
from obs_middleware.metrics.names import BYTES_BUCKETS, active_requests, histograms
from obs_middleware.metrics.series import HISTOGRAMS, Kind, Table
from obs_middleware.settings import ConfigError

if TYPE_CHECKING:
    from obs_middleware.ledger import Entry, Report
    from obs_middleware.metrics.shown import Shown

native.core.learn(BYTES_BUCKETS=BYTES_BUCKETS)
_SCHEMES = ("http", "https", "ws", "wss")
_OVERFLOW: tuple[Kind, str] = ("_OTHER", "", "overflow"), "overflow"

Begun = str  # a known method, a blank and a scheme: no container, which the collector would count


class Instruments(Collector):
    """The metrics of one registry and their table; made once for it, shared by all Observers that use it."""

    def __init__(self, registry: CollectorRegistry, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        # Of what begins, counted in by a page or a batch; one that a finalizer, run in the middle, may take again.
        self.lock = RLock()
        # Requests that are not yet counted in: an append, which needs no lock (0.2 µs less).
        self.begun: deque[Begun] = deque()
        self.active: dict[Begun, list[int]] = {}  # counted in and out
        self.table = Table(len(bounds) + 1 for _, bounds in histograms(buckets))
        self.internal_errors = Counter(
            "obs_internal_errors", "Failures inside obs-middleware itself.", ("component",), registry=None
        )
        self.overflow = Counter(
            "obs_series_overflow", "Measurements folded into the overflow set.", ("metric",), registry=None
        )
        self._register(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families, as every collector of prometheus-client does."""
        settle_all()
        yield from self._shown.families()

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the same as the text of the page, a series at a time."""
        settle_all()
        yield from self._shown.blocks(is_openmetrics)

    def describe(self) -> Iterator[Metric]:
        """Yield the families with no samples: the names that the registry keeps for us."""
        yield from (family for family, _ in histograms(self.buckets))
        yield active_requests()

    def count_in(self) -> None:
        """Count in the requests that have begun."""
        begun = self.begun
        with self.lock:
            while begun:
                self.cell(begun.popleft())[0] += 1

    def cell(self, begun: Begun) -> list[int]:
        """Return where requests of a method and a scheme are counted, in and out."""
        cell = self.active.get(begun)
        if cell is None:
            method, scheme = begun.split(" ", 1)
            known = begun if scheme in _SCHEMES else f"{method} _OTHER"
            cell = self.active.setdefault(known, [0, 0])
        return cell

    @cached_property
    def _shown(self) -> Shown:
        from obs_middleware.metrics.shown import Shown  # when somebody looks, and not before

        return Shown(self.table, self.buckets, self._active_now)

    def _active_now(self) -> Iterator[tuple[list[str], int]]:
        self.count_in()
        for labels, cell in list(self.active.items()):
            yield labels.split(" "), cell[0] - cell[1]

    def _register(self, registry: CollectorRegistry) -> None:
        done: list[Collector] = []
        try:
            collectors: tuple[Collector, ...] = (self, self.internal_errors, self.overflow)
            for collector in collectors:
                registry.register(collector)
                done.append(collector)
        except ValueError:
            for collector in done:
                registry.unregister(collector)
            raise


class HttpMetrics:
    """Record exchanges.

    Raises:
        ConfigError: another Observer uses the registry with other buckets, or another library has taken a name.
    """

    def __init__(self, registry: CollectorRegistry, *, buckets: tuple[float, ...], max_series: int) -> None:
        self.instruments = _instruments(registry, buckets)
        self.begin = (
            self.instruments.begun.append
        )  # notes a request that begins, to be counted in with others
        self._max_series = max_series

    @native.core.compiled
    def record(self, entries: Iterable[Entry], report: Report) -> None:
        """Count requests out and observe them; for whoever has the ledger's turn, alone here at any time.

        A websocket that was accepted is a connection, not a request.
        """
        own, table = self.instruments, self.instruments.table
        bounds, known, (_, second, third, fourth) = own.buckets, table.known, table.firsts
        own.count_in()
        for entry in entries:
            if entry.is_measured:
                continue
            entry.is_measured = True
            if entry.begun is not None:
                own.cell(entry.begun)[1] += 1
            if entry.status == 101:
                continue
            try:
                kind, route = (entry.method, entry.status, entry.error_type), entry.route or ""
                try:
                    row = known[kind][route]
                except KeyError:
                    row = self._new_row(kind, route)
                counts, sums, cells, total = table.counts, table.sums, row * table.cells, row * HISTOGRAMS
                seconds, first_byte = entry.duration, entry.time_to_first_byte
                size, returned = entry.request_bytes, entry.response_bytes
                times = {bisect_left(bounds, seconds): seconds}  # by bucket
                sums[total] += seconds
                if first_byte is not None:
                    times[second + bisect_left(bounds, first_byte)] = first_byte
                    sums[total + 1] += first_byte
                sums[total + 2] += size
                sums[total + 3] += returned
                received = bisect_left(BYTES_BUCKETS, size) if size else 0
                for place in (*times, third + received, fourth + bisect_left(BYTES_BUCKETS, returned)):
                    try:
                        counts[cells + place] += 1
                    except OverflowError:
                        counts = table.widen()
                        counts[cells + place] += 1
                if entry.is_sampled:
                    table.example(row, entry, times)
            except Exception as error:
                report("metrics", error)

    def drop(self, entry: Entry) -> None:
        """Count a request out that is measured elsewhere, or not at all."""
        if entry.begun is not None:
            own = self.instruments
            own.count_in()
            with own.lock:
                own.cell(entry.begun)[0] -= 1  # not [1], which is its writer's alone

    def _new_row(self, kind: Kind, route: str) -> int:
        table = self.instruments.table
        if len(table) < self._max_series:
            return table.add(kind, route)
        self.instruments.overflow.labels("http_server").inc()
        kind, route = _OVERFLOW
        row = table.known.get(kind, {}).get(route)
        return table.add(kind, route) if row is None else row


_made: WeakKeyDictionary[CollectorRegistry, Instruments] = WeakKeyDictionary()
_making = Lock()


def _instruments(registry: CollectorRegistry, buckets: tuple[float, ...]) -> Instruments:
    with _making:
        own = _made.get(registry)
        if own is None:
            try:
                own = _made[registry] = Instruments(registry, buckets)
            except ValueError as error:
                raise ConfigError(
                    f"the registry holds a metric of our name already ({error}): "
                    "hand another one in, Observer(registry=CollectorRegistry())"
                ) from error
    if own.buckets != buckets:
        raise ConfigError(
            f"metrics_buckets must be {own.buckets}, as another Observer has them on this registry, got {buckets}: "
            "hand another registry in, Observer(registry=CollectorRegistry())"
        )
    return own
