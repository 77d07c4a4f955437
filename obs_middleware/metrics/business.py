"""Metrics of the app itself: `observer.metrics`.

orders = observer.metrics.counter("orders", "Orders that were placed.", ["plan"])
orders.labels("free").inc()

What is declared are prometheus-client's own classes, with a bound on their series. Where a declaration is not as it
must be, it raises ConfigError: the name is taken by a different metric, or Prometheus does not take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import prometheus_client
from opentelemetry import trace

from obs_middleware.errors import ConfigError
from obs_middleware.metrics.bounded import (
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    check_function,
    full_name,
    shown,
)
from obs_middleware.metrics.collection import AppMetrics, default_labels, snapshot_of
from obs_middleware.metrics.declared import Declarations
from obs_middleware.metrics.timed import OUTCOME, Timed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric
    from typing_extensions import Unpack

    from obs_middleware.errors import Report
    from obs_middleware.metrics.declared import Options, OptionsWithUnit
    from obs_middleware.metrics.options import MultiprocessMode
    from obs_middleware.settings import Settings

_Hook = TypeVar("_Hook", bound=Callable[[], object])
_DEFAULT_BUCKETS = prometheus_client.Histogram.DEFAULT_BUCKETS


class Metrics:
    """Declare metrics, and look at all of them.

    Args:
        count_overflow: counts a label set past the cap of a metric.
        report: is told of a hook or a collector that has raised.
        environment: returns the environment, once it is known.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        settings: Settings,
        *,
        count_overflow: Callable[[str], None],
        report: Report,
        environment: Callable[[], str | None],
    ) -> None:
        self._registry = registry
        self._report = report
        place = settings.metrics_default_labels
        has_target = place == "target_info"
        self._app_metrics = AppMetrics.of(
            registry, report, lambda: default_labels(settings, environment()) if has_target else {}
        )
        self._declarations = Declarations(
            registry,
            prefix=settings.metrics_prefix or "",
            # An environment that is not set is not known yet, and a series keeps its labels.
            default_labels=default_labels(settings, settings.environment) if place == "series" else {},
            max_series=settings.metrics_max_series,
            count_overflow=count_overflow,
            app_metrics=self._app_metrics,
        )

    def counter(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        **options: Unpack[OptionsWithUnit],
    ) -> Counter:
        """Declare a counter; `_total` ends its name on the page."""
        return self._declarations.declare(Counter, name, documentation, labelnames, **options)

    def gauge(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        *,
        function: Callable[[], float] | None = None,
        multiprocess_mode: MultiprocessMode = "all",
        **options: Unpack[OptionsWithUnit],
    ) -> Gauge:
        """Declare a gauge.

        Args:
            function: says the value before each collection. Where it fails, that is counted, and the value is NaN. The
                same one again, of an app factory that runs twice, takes the place of the first.
            multiprocess_mode: how the values of several processes become one, as prometheus-client has it.

        Raises:
            ConfigError: the declaration is not as it must be, or an earlier one has another function.
        """
        gauge = self._declarations.declare(
            Gauge, name, documentation, labelnames, multiprocess_mode=multiprocess_mode, **options
        )
        if function is not None:
            if gauge.has_labels_to_set:
                raise ConfigError(
                    f"gauge {name} has labels: say for which, gauge.labels(…).set_function({_name_of(function)})"
                )
            first = gauge.declared_function
            if first is not None and _source_of(first) != _source_of(function):
                raise ConfigError(
                    f"gauge {name} has the function {full_name(first)} already, now {full_name(function)}: "
                    "declare it once, or replace the function by gauge.set_function(…)"
                )
            gauge.set_function(function)
            gauge.declared_function = function
        return gauge

    def histogram(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        *,
        buckets: Sequence[float] = _DEFAULT_BUCKETS,
        **options: Unpack[OptionsWithUnit],
    ) -> Histogram:
        """Declare a histogram."""
        return self._declarations.declare(
            Histogram, name, documentation, labelnames, buckets=buckets, **options
        )

    def summary(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        **options: Unpack[OptionsWithUnit],
    ) -> Summary:
        """Declare a summary."""
        return self._declarations.declare(Summary, name, documentation, labelnames, **options)

    def info(
        self, name: str, documentation: str, labelnames: Iterable[str] = (), **options: Unpack[Options]
    ) -> Info:
        """Declare an info."""
        return self._declarations.declare(Info, name, documentation, labelnames, **options)

    def enum(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        *,
        states: Sequence[str],
        **options: Unpack[Options],
    ) -> Enum:
        """Declare a state out of several."""
        return self._declarations.declare(Enum, name, documentation, labelnames, states=states, **options)

    def timed(
        self,
        metric: str | Histogram | Summary = "",
        documentation: str = "",
        labels: Mapping[str, str] | None = None,
        *,
        buckets: Sequence[float] = _DEFAULT_BUCKETS,
        **options: Unpack[Options],
    ) -> Timed:
        """Time a block or a function, sync, async or a generator, in a histogram whose name ends in `_seconds`.

        Its label `outcome` is `ok`, `error` where an exception comes out, or `cancelled`. Exemplars lead to the trace.

        @observer.metrics.timed("charge", "How long a charge takes.")
        async def charge(): ...

        with observer.metrics.timed("charge", "How long a charge takes."): ...

        Args:
            metric: a name; or a histogram or a summary that is declared already, which has no such label then. It
                comes alone.
            labels: further labels and their values.

        Raises:
            ConfigError: there is no name, the labels have no values, or the declaration is not as it must be.
        """
        if labels is not None and not isinstance(labels, Mapping):
            raise ConfigError(
                f"timed must have labels with their values, {{'bank': 'acme'}}, got {labels!r}; "
                "for values that change, declare a histogram and hand in one of its labels()"
            )
        if isinstance(metric, (Histogram, Summary)):
            if documentation or labels or options or buckets is not _DEFAULT_BUCKETS:
                raise ConfigError(
                    f"timed({shown(metric)}) must come alone, because the metric is declared: leave all else out"
                )
            return _timed_in(metric)
        if not isinstance(metric, str) or not metric:
            raise ConfigError(
                f"timed must have a name, or a histogram or a summary, got {shown(metric)}: "
                "@metrics.timed('charge', 'How long a charge takes.')"
            )
        given: Mapping[str, Any] = options
        if "unit" in given:
            raise ConfigError(f"timed({metric!r}) measures seconds: leave unit={given['unit']!r} out")
        labels = labels or {}
        names = sorted(labels, key=str)  # in whichever order they come
        values = [labels[name] for name in names]
        histogram = self.histogram(
            metric, documentation, (*names, OUTCOME), unit="seconds", buckets=buckets, **options
        )
        return Timed(
            lambda outcome, seconds: histogram.labels(*values, outcome).observe(seconds, _exemplar())
        )

    def on_collect(self, hook: _Hook) -> _Hook:
        """Have the decorated function called before each collection, a scrape for example.

        One that raises is counted in `obs_internal_errors_total`, and costs nobody anything.
        """
        check_function(hook, "on_collect")
        self._app_metrics.before(hook, hook, f"the hook {full_name(hook)} of on_collect")
        return hook

    def surround_hooks(self, around: Callable[[], AbstractContextManager[object]]) -> None:
        """Have something entered before all hooks and left after them, for what belongs to their thread."""
        self._app_metrics.around_hooks = around

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return all metrics of now as plain values: by name the type, unit, documentation and samples.

        Raises:
            TimeoutError, OSError: the numbers of other workers can't be had.
        """
        return self.values_of(self.families())

    def values_of(self, families: Iterable[Metric]) -> dict[str, dict[str, Any]]:
        """Return families as plain values."""
        return snapshot_of(families)

    def text_of(self, families: Iterable[Metric]) -> bytes:
        """Return families as Prometheus text."""
        from obs_middleware.metrics.exposition.page import text_of

        return text_of(families)

    def count_event(self, name: str) -> None:
        """Count an event; the counter is on the page from the first one on."""
        self._app_metrics.own_counter("telemetry_events", "Events of the app.", "event").inc(name)

    def count_export_failure(self, exporter: str) -> None:
        """Count an export that has failed; the counter is on the page from the first one on."""
        failures = self._app_metrics.own_counter(
            "obs_export_failures", "Exports that have failed.", "exporter"
        )
        failures.inc(exporter)

    def families(self) -> list[Metric]:
        """Return all metrics of now as prometheus-client's families."""
        from obs_middleware.metrics.snapshot import Snapshot  # memory that few processes need

        return list(Snapshot.of(self._registry, self._report))

    def own_families(self) -> list[Metric] | None:
        """Return those of this process; None where it is no worker among others, so that all are its own."""
        from obs_middleware.metrics.exposition.registry import families
        from obs_middleware.metrics.worker_metrics import worker_metrics

        return None if worker_metrics.service is None else list(families(self._registry, self._report))


def _timed_in(metric: Histogram | Summary) -> Timed:
    if metric.has_labels_to_set:
        raise ConfigError(f"{shown(metric)} has labels: say which, timed(metric.labels(…))")
    if isinstance(metric, Summary):
        return Timed(lambda outcome, seconds: metric.observe(seconds))
    return Timed(lambda outcome, seconds: metric.observe(seconds, _exemplar()))


def _name_of(function: object) -> str:
    return str(getattr(function, "__name__", function))


def _source_of(function: object) -> object:
    """Return what two functions have in common that were made in one place; lambdas are new ones each time."""
    if isinstance(function, partial):
        return partial, _source_of(function.func)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return code or (type(function), *name)  # an object that is called, or what is written in C


def _exemplar() -> dict[str, str] | None:
    """Return what leads to the current span, if its trace is kept."""
    context = trace.get_current_span().get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
