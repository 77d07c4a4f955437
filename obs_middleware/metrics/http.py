"""The HTTP server's instruments, under OpenTelemetry's names as Prometheus writes them.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. Series are bounded whatever clients send: methods are
known ones or `_OTHER`, routes are templates, and past a cap every further label set is counted in one overflow set.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate
from threading import Lock, RLock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from obs_middleware import native
from obs_middleware.ledger import settle_all
from obs_middleware.metrics.series import HISTOGRAMS, Histogram, Kind, Series
from obs_middleware.metrics.text import SeriesText
from obs_middleware.settings import ConfigError

if TYPE_CHECKING:
    from obs_middleware.ledger import Entry, Report

_BYTES_BUCKETS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
native.core.learn(BYTES_BUCKETS=_BYTES_BUCKETS)
_SCHEMES = ("http", "https", "ws", "wss")
_OVERFLOW: tuple[Kind, str] = ("_OTHER", "", "overflow"), "overflow"
_ACTIVE = "http_server_active_requests"
_ABOUT_ACTIVE = "Requests that are being served."
_ACTIVE_LABELS = ("http_request_method", "url_scheme")

Begun = str  # a known method, a blank and a scheme: no container, which the collector would count


class Instruments(Collector):
    """The metrics of one registry and their series; made once for it, shared by all Observers that use it."""

    def __init__(self, registry: CollectorRegistry, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        # Of what begins, counted in by a page or a batch; one that a finalizer, run in the middle, may take again.
        self.lock = RLock()
        self.series: list[Series] = []
        self.known: dict[Kind, dict[str, Series]] = {}  # by route: no key of its own for each series
        # Requests that are not yet counted in: an append, which needs no lock (0.2 µs less).
        self.begun: deque[Begun] = deque()
        self.active: dict[Begun, list[int]] = {}  # counted in and out
        told = (
            ("request_duration_seconds", "Duration of HTTP server requests.", buckets),
            ("time_to_first_byte_seconds", "Time until the response starts.", buckets),
            ("request_body_size_bytes", "Size of request bodies.", _BYTES_BUCKETS),
            ("response_body_size_bytes", "Size of response bodies.", _BYTES_BUCKETS),
        )
        # Where each one's buckets begin in a series, and where the sums do.
        *firsts, self.sums = accumulate((len(bounds) + 1 for _, _, bounds in told), initial=0)
        self.firsts = tuple(firsts)
        self.histograms = [
            Histogram(f"http_server_{name}", about, bounds, total=self.sums + index, first=firsts[index])
            for index, (name, about, bounds) in enumerate(told)
        ]
        self._active_text = SeriesText(_ACTIVE, _ABOUT_ACTIVE, "gauge", _ACTIVE_LABELS)
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
        for histogram in self.histograms:
            yield histogram.family(self.series.copy())
        self.count_in()
        active = self._active_family()
        for labels, cell in list(self.active.items()):
            active.add_metric(labels.split(" "), cell[0] - cell[1])
        yield active

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the same as the text of the page, a series at a time."""
        settle_all()
        for histogram in self.histograms:
            yield histogram.head(is_openmetrics)
            for one in self.series.copy():
                yield histogram.lines(one, is_openmetrics=is_openmetrics)
        self.count_in()
        yield self._active_text.head(is_openmetrics)
        for labels, cell in list(self.active.items()):
            yield self._active_text.child(
                self._active_text.labels(labels.split(" ")), float(cell[0] - cell[1])
            )

    def describe(self) -> Iterator[Metric]:
        """Yield the families with no samples: the names that the registry keeps for us."""
        for histogram in self.histograms:
            yield histogram.family(())
        yield self._active_family()

    def add(self, kind: Kind, route: str) -> Series:
        """Return the series of labels that have none yet; for whoever has the ledger's turn."""
        series = self.known.setdefault(kind, {})[route] = Series(kind, route, self.sums)
        self.series.append(series)
        return series

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

    def _active_family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(_ACTIVE, _ABOUT_ACTIVE, labels=_ACTIVE_LABELS)

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
        own = self.instruments
        bounds, known, (_, second, third, fourth) = own.buckets, own.known, own.firsts
        first_sum, second_sum, third_sum, fourth_sum = range(own.sums, own.sums + HISTOGRAMS)
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
                    series = known[kind][route]
                except KeyError:
                    series = self._new_series(kind, route)
                numbers, seconds, first_byte = series.numbers, entry.duration, entry.time_to_first_byte
                cell = bisect_left(bounds, seconds)
                numbers[cell] += 1
                numbers[first_sum] += seconds
                if first_byte is not None:
                    numbers[second + bisect_left(bounds, first_byte)] += 1
                    numbers[second_sum] += first_byte
                if entry.is_sampled:
                    values = {cell: seconds}
                    if first_byte is not None:
                        values[second + bisect_left(bounds, first_byte)] = first_byte
                    series.example(entry, values)
                size = entry.request_bytes
                if size:
                    numbers[third + bisect_left(_BYTES_BUCKETS, size)] += 1
                    numbers[third_sum] += size
                else:
                    numbers[third] += 1
                size = entry.response_bytes
                numbers[fourth + bisect_left(_BYTES_BUCKETS, size)] += 1
                numbers[fourth_sum] += size
            except Exception as error:
                report("metrics", error)

    def drop(self, entry: Entry) -> None:
        """Count a request out that is measured elsewhere, or not at all."""
        if entry.begun is not None:
            own = self.instruments
            own.count_in()
            with own.lock:
                own.cell(entry.begun)[0] -= 1  # not [1], which is its writer's alone

    def _new_series(self, kind: Kind, route: str) -> Series:
        own = self.instruments
        if len(own.series) < self._max_series:
            return own.add(kind, route)
        own.overflow.labels("http_server").inc()
        kind, route = _OVERFLOW
        return own.known.get(kind, {}).get(route) or own.add(kind, route)


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
