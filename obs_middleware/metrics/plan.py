"""Which metrics the HTTP server shows, as the settings want them, and the buckets in which the table counts for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from obs_middleware.errors import ConfigError
from obs_middleware.metrics import classic, semconv
from obs_middleware.metrics.instrument import DURATION, FIRST_BYTE, ActiveGauge, Instrument

if TYPE_CHECKING:
    from obs_middleware.metrics.native_histogram import NativeBuckets
    from obs_middleware.settings import Settings

Bounds = tuple[float, ...]
_SHARED = (  # settings that make the plan, and must be the same for all Observers of a registry
    "metrics_buckets",
    "metrics_route_buckets",
    "metrics_detail",
    "metrics_group_status",
    "metric_names",
    "http_metrics",
    "native_histograms",
    "runtime_metrics",
)


class Plan:
    """The instruments of one registry.

    A histogram's buckets are sums of the table's, which are bounded by all bounds that any instrument has.

    Args:
        settings: those of an Observer.

    Attributes:
        instruments: what is read from the table, in the order of the page.
        gauges: of the requests that are being served.
        counts_websockets: there are metrics of websockets.
        seconds, sizes: the table's bounds for times and for sizes.
        native: reads native histograms of times from the table, if the settings ask for them.
        exemplar_cells: for each of the table's buckets of times, where its exemplar is kept; empty: in its own place.
        cells: says what the table's cells are, in few letters.
        route_bounds: the bounds of the durations of some routes.
        settings: the settings that must be the same where Observers share a registry.
        view_name: returns the name of a route's view; an adapter sets it.

    Raises:
        ConfigError: two sets of names have a name in common.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = {name: getattr(settings, name) for name in _SHARED}
        self.route_bounds = _by_route(settings.metrics_route_buckets)
        self.view_name: Callable[[str], str] = str
        self.counts_websockets = "websocket" in settings.http_metrics
        self.instruments: list[Instrument] = []
        self.gauges: list[ActiveGauge] = []
        for names in _sets(settings.metric_names):
            instruments, gauges = self._named(names, settings)
            self.instruments += instruments
            self.gauges += gauges
        _check_names([*(one.name for one in self.instruments), *(one.name for one in self.gauges)])
        times = [one.bounds for one in self.instruments if one.measure in (DURATION, FIRST_BYTE)]
        self.seconds = _union((settings.metrics_buckets, *times, *self.route_bounds.values()))
        self.native: NativeBuckets | None = None
        self.exemplar_cells: list[int] = []
        sizes = [one.bounds for one in self.instruments if one.measure not in (DURATION, FIRST_BYTE)]
        self.sizes = _union(sizes)
        self.cells = f"{self.seconds} {self.sizes}"
        if settings.native_histograms:
            self._add_native_buckets()

    def _add_native_buckets(self) -> None:
        from obs_middleware.metrics import native_histogram  # memory that few processes need

        classic = self.seconds
        self.seconds = _union((classic, native_histogram.BOUNDS))
        self.cells += f" native {native_histogram.SCHEMA}"
        self.native = native_histogram.NativeBuckets(self.seconds)
        kept = native_histogram.classic_cells(self.seconds, classic)
        self.exemplar_cells = [*kept, *(len(kept) + cell for cell in kept)]  # of durations and of first bytes

    def _view_name(self, route: str) -> str:
        return self.view_name(route)  # which an adapter may set later

    def _named(self, names: str, settings: Settings) -> classic.Names:
        if names == "opentelemetry":
            return semconv.instruments(settings), semconv.gauges(settings)
        if names == "django-prometheus":
            return classic.django_prometheus(settings, self._view_name)
        presets = {
            "classic": classic.classic,
            "prometheus-fastapi-instrumentator": classic.fastapi_instrumentator,
            "starlette-exporter": classic.starlette_exporter,
            "prometheus_flask_exporter": classic.flask_exporter,
        }
        return presets[names](settings)


def _by_route(given: Iterable[tuple[str, Bounds]]) -> Mapping[str, Bounds]:
    """Return bounds by route; also with a first slash where it is missing, as `urls.py` of Django has routes."""
    return {name: bounds for route, bounds in given for name in (route, f"/{route.lstrip('/')}")}


def _sets(names: Iterable[str]) -> list[str]:
    """Return the sets of names, each once."""
    both = "opentelemetry", "classic"
    return [*dict.fromkeys(one for name in names for one in (both if name == "both" else (name,)))]


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(
                f"metric_names has two sets that both have {name}, with other labels: choose one of the two"
            )
        seen.add(name)


def _union(bounds: Iterable[Bounds]) -> Bounds:
    return tuple(sorted({float(bound) for some in bounds for bound in some}))
