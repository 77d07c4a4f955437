"""For tests of apps: what a block of code leaves in records, log lines, spans and metrics.

with captured(observer) as seen:
    client.get("/items/1")
assert seen.records[0].route == "/items/{item_id}"
assert seen.lines[-1]["outcome"] == "ok"
assert seen.spans[0].name == "GET /items/{item_id}"
assert seen.increase("http_server_request_duration_seconds_count", http_route="/items/{item_id}") == 1
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry import trace

from obs_middleware.errors import ConfigError
from obs_middleware.logs.formatters.json import JsonFormatter
from obs_middleware.observer import Observer
from obs_middleware.queue import flush

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from obs_middleware.gateway import Gateway
    from obs_middleware.record import RequestRecord
    from obs_middleware.settings import Settings

__all__ = ["Captured", "captured"]

_NO_SDK = "captured(…).spans needs OpenTelemetry's SDK: pip install 'obs-middleware[tracing]'"


@contextmanager
def captured(observer: Observer) -> Iterator[Captured]:
    """Capture what an app tells while the block runs; what was captured stays after it.

    For the block the root logger has the level of `log_level`. Where the app has no TracerProvider of OpenTelemetry's
    SDK, one is made the global one, and stays so: it exports nothing. Blocks may stand one inside the other; in
    several threads at once they may not, because the root logger is one.

    Args:
        observer: the app's: the one that you have made, `app.extensions["obs"]` or `obs_django.get_observer()`.

    Raises:
        ConfigError: it is no Observer.
    """
    if not isinstance(observer, Observer):
        raise ConfigError(
            f"captured wants the app's Observer, got {observer!r}: the one that you have made and handed to the"
            " middleware, app.extensions['obs'] of a Flask app, or obs_django.get_observer()"
        )
    flush()  # what was there before
    with ExitStack() as stack:
        records: list[RequestRecord] = []
        stack.callback(observer.gateway.add_sink(records.extend))
        handler = stack.enter_context(_handler(observer.settings))
        spans = stack.enter_context(_ended_spans(observer.gateway))
        stack.callback(flush)  # first of all: the others still listen
        yield Captured(observer, records, handler.lines, spans)


class Captured:
    """What a block has left so far; lists are in the order of the end, and empty where there is nothing."""

    def __init__(
        self,
        observer: Observer,
        records: list[RequestRecord],
        lines: list[str],
        spans: list[ReadableSpan] | None,
    ) -> None:
        self._metrics = observer.metrics
        self._records, self._lines, self._spans = records, lines, spans
        self._before = self._samples()

    @property
    def records(self) -> list[RequestRecord]:
        """Return one record for each request that has ended, as metrics are made of: its path is not redacted."""
        flush()
        return list(self._records)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines that reached the root logger, as our JSON; `obs.access` is the access line's logger."""
        flush()
        return [json.loads(line) for line in self._lines]

    @property
    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended and were sampled: the server's, and those inside it.

        Raises:
            ConfigError: OpenTelemetry's SDK is not installed.
        """
        if self._spans is None:
            raise ConfigError(_NO_SDK)
        return list(self._spans)

    def increase(self, name: str, **labels: str) -> float:
        """Return by how much a metric has grown in the block: all series of the name that have these labels.

        Args:
            name: of the sample, as on the metrics page: `orders_total`, `…_seconds_count`.
        """
        return self._sum(self._samples(), name, labels) - self._sum(self._before, name, labels)

    def value(self, name: str, **labels: str) -> float:
        """Return what a metric is now, a gauge for example: the sum of all series that have these labels."""
        return self._sum(self._samples(), name, labels)

    def _samples(self) -> list[dict[str, Any]]:
        return [sample for family in self._metrics.snapshot().values() for sample in family["samples"]]

    def _sum(self, samples: list[dict[str, Any]], name: str, labels: dict[str, str]) -> float:
        wanted = labels.items()
        found = (one for one in samples if one["name"] == name and wanted <= one["labels"].items())
        return sum(float(one["value"]) for one in found)


class _Lines(logging.Handler):
    """Keep the lines that reach it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(JsonFormatter(settings=settings))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def _handler(settings: Settings) -> Iterator[_Lines]:
    root, handler = logging.root, _Lines(settings)
    before, level = root.level, logging.getLevelName(settings.log_level)
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


@contextmanager
def _ended_spans(gateway: Gateway) -> Iterator[list[ReadableSpan] | None]:
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    except ImportError:
        yield None
        return
    provider = gateway.tracer_provider
    if provider is None and gateway.traces:
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    spans: list[ReadableSpan] = []
    if not isinstance(provider, TracerProvider):  # tracing is off, or the provider is of another make
        yield spans
        return
    keeper: Any = _keepers.get(provider)
    if keeper is None:
        keeper = _keepers[provider] = _Keeper()
        provider.add_span_processor(SimpleSpanProcessor(keeper))
    keeper.lists.append(spans)
    try:
        yield spans
    finally:
        keeper.lists = [one for one in keeper.lists if one is not spans]


class _Keeper:
    """Keep the spans that end for whoever captures: an exporter, which a provider can't be without again."""

    def __init__(self) -> None:
        self.lists: list[list[ReadableSpan]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        for one in self.lists:
            one.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: what is kept is the caller's."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


_keepers: WeakKeyDictionary[Any, _Keeper] = WeakKeyDictionary()  # by provider, so that each has one
