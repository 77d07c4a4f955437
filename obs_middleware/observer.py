"""The core's front door, one for each app: what an adapter asks, and what a user hands in.

observer = Observer(service_name="shop")
app.add_middleware(ObservabilityMiddleware, observer=observer)

@observer.check("database")
async def database() -> None: ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from time import monotonic, perf_counter, time_ns
from typing import TYPE_CHECKING, Any, TypeVar

import prometheus_client

from obs_middleware import native, request_id
from obs_middleware.endpoints import Endpoints, Reply
from obs_middleware.exchange import Exchange, Recorders
from obs_middleware.health.checks import Function, run_in
from obs_middleware.health.probes import Probes
from obs_middleware.ledger import Entry, Ledger, settle_all
from obs_middleware.logs import setup as logs_setup
from obs_middleware.logs.access import AccessLog
from obs_middleware.metrics.http import HttpMetrics
from obs_middleware.redaction import Redactor
from obs_middleware.settings import ConfigError, Settings
from obs_middleware.tracing.server import ServerSpans

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry
    from typing_extensions import Unpack

    from obs_middleware.keywords import Keywords
    from obs_middleware.request import RequestInfo

_logger = logging.getLogger("obs")
_F = TypeVar("_F", bound=Function)

# https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (`http.request.method`).
_METHODS = "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE QUERY"
_FLUSH_MS = 5000
_QUIET_SECONDS = 60.0  # between two log lines of our own failures


@native.core.laid_out
class Observer:
    """Observe one app.

    Args:
        settings: all settings at once; or give single ones as keywords, over the environment's.
        registry: where the metrics live, prometheus-client's own default unless given.
        tracer_provider: makes the server spans, the global one unless given.
        keywords: settings by name.

    Raises:
        ConfigError: a setting is unknown or not as it must be, or what it needs is not installed.
    """

    # The compiled ways read an attribute at its place, with a tenth of the instructions.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_access_log",
        "_endpoints",
        "_environment",
        "_ids",
        "_is_provider_given",
        "_ledger",
        "_ledger_alone",
        "_methods",
        "_metrics",
        "_probes",
        "_provider",
        "_quiet_until",
        "_recorders",
        "_redactor",
        "_spans",
        "_starting",
        "is_development",
        "marks",
        "paths",
        "registry",
        "response_header_names",
        "settings",
    )

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        registry: CollectorRegistry | None = None,
        tracer_provider: TracerProvider | None = None,
        **keywords: Unpack[Keywords],
    ) -> None:
        if settings is not None and keywords:
            raise ConfigError(
                f"Observer takes either settings or single ones, got settings and {sorted(keywords)}"
            )
        self.settings = settings = settings or Settings.load(**keywords)
        if settings.exports_spans:
            _tracing_setup().check(settings)
        self.registry = registry or prometheus_client.REGISTRY
        self._redactor = Redactor(pii=settings.redact_pii, keys=settings.redact_keys)
        self._metrics = HttpMetrics(
            self.registry, buckets=settings.metrics_buckets, max_series=settings.metrics_max_series
        )
        self._spans = ServerSpans(settings, self._redactor, tracer_provider=tracer_provider)
        self._probes = Probes(self._describe)
        self._endpoints = Endpoints(settings, self._probes, self.registry)
        self.paths = self._endpoints.paths  # what is answered here and never reaches the app
        self._access_log = AccessLog(self._redactor) if settings.access_log else None
        self._ledger = Ledger(self._record, self._metrics.drop, self.report)
        self._recorders: Recorders = (("tracing", self._spans.end), ("ledger", self._enter))
        self._ledger_alone: Recorders = self._recorders[1:]
        methods = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "").replace(",", " ") or _METHODS
        self._methods = frozenset(methods.split())
        # The names of an exchange's `response_headers`, in their order.
        self.response_header_names = settings.request_id_header, settings.correlation_id_header
        self._ids = tuple(name.lower() for name in self.response_header_names)
        # The headers by which a caller marks a request, in lower case.
        self.marks = frozenset((*self._ids, "traceparent", "baggage"))
        self._provider: Any = None
        self._is_provider_given = tracer_provider is not None
        self._starting = Lock()
        self._environment: str | None = None  # known once set up
        self.is_development = False  # known once set up
        self._quiet_until = 0.0

    @classmethod
    def chosen(
        cls,
        observer: Observer | None,
        keywords: Mapping[str, Any],
        *,
        config: Mapping[str, Any] | None = None,
    ) -> Observer:
        """Return the Observer handed in, or a new one made of the settings; for adapters.

        Raises:
            ConfigError: both are given, or a setting is not as it must be.
        """
        if observer is None:
            return cls(Settings.load(config=config, **keywords))
        if keywords:
            raise ConfigError(
                f"give either an observer or settings, got an observer and {', '.join(keywords)}"
            )
        return observer

    # What a user calls.

    def check(
        self, name: str, *, critical: bool = True, timeout_seconds: float = 1.0, cache_seconds: float = 1.0
    ) -> Callable[[_F], _F]:
        """Register the decorated function, sync or async, as a readiness check (see `add_check`)."""

        def register(function: _F) -> _F:
            self.add_check(
                name,
                function,
                critical=critical,
                timeout_seconds=timeout_seconds,
                cache_seconds=cache_seconds,
            )
            return function

        return register

    def add_check(
        self,
        name: str,
        function: Function,
        *,
        critical: bool = True,
        timeout_seconds: float = 1.0,
        cache_seconds: float = 1.0,
    ) -> None:
        """Register a readiness check, which fails by raising or by returning False.

        Args:
            critical: a failure turns readiness to 503; otherwise to `warn`, with 200.
            timeout_seconds: a run that takes longer has failed.
            cache_seconds: how long a result is good for.

        Raises:
            ConfigError: the name is taken, or an argument is not as it must be.
        """
        self._probes.add(
            name, function, critical=critical, timeout_seconds=timeout_seconds, cache_seconds=cache_seconds
        )

    def drain(self) -> None:
        """Turn readiness to 503, while liveness stays 200: the service is about to stop."""
        self._probes.is_draining = True

    def close(self) -> None:
        """Drain, write the lines and send the spans that still wait; it takes up to five seconds."""
        self.drain()
        settle_all()
        if self._provider is not None:
            self._provider.force_flush(_FLUSH_MS)  # the SDK itself shuts down at exit

    # What an adapter calls.

    def set_up(self, *, debug: bool = False) -> None:
        """Set logging and tracing up, once; in debug an unset environment is `development`, also when told later."""
        environment = self.settings.environment or ("development" if debug else "production")
        with self._starting:
            if environment == self._environment:
                return
            is_first, self._environment = self._environment is None, environment
            self._endpoints.are_details_open = self.is_development = environment == "development"
            self._try("log_setup", logs_setup.set_up, self.settings, environment)
            if is_first and self.settings.exports_spans:
                setup = _tracing_setup()
                self._provider = self._try("trace_setup", setup.set_up, self.settings, environment)
                if not self._is_provider_given:
                    self._spans.sampling = setup.sampling_of(self._provider)

    def _try(self, component: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            self.report(component, error)
            return None

    def starting(self) -> None:
        """Note that the app starts, or starts again after it has been stopped."""
        self._probes.is_started = self._probes.is_draining = False

    def started(self, *, loop: Any = None) -> None:
        """Note that the app has started and serves; `loop` is the asyncio event loop that serves it, if one does."""
        if loop is not None:
            self._probes.run_async = run_in(loop)
        self._probes.is_started = True

    @property
    def has_own_provider(self) -> bool:
        """Tell whether spans go to a TracerProvider that we have set up, and not to one of the user's."""
        return self._provider is not None

    def threads(self, path: str) -> Executor | None:
        """Return the threads to answer one of `paths` in under an event loop; None where the answer takes no time."""
        return self._endpoints.threads(path)

    def reply(self, info: RequestInfo, path: str) -> Reply:
        """Answer one of `paths`; under an event loop in its `threads`."""
        try:
            return self._endpoints.reply(info, path)
        except Exception as error:
            self.report("endpoints", error)
            return Reply(503, {"Content-Type": "text/plain; charset=utf-8"}, b"Service Unavailable\n")

    @native.core.compiled
    def start(self, info: RequestInfo) -> Exchange | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        try:
            now, started = time_ns(), perf_counter()
            ids, own = request_id.draw(now)
            related = None
            if info.is_marked:
                given, related = map(request_id.accept, map(info.header, self._ids))
                own = given or own
            method = info.method
            if method not in self._methods:
                method = "_OTHER"
            recorders = [self._ledger_alone]
            exchange = Exchange(info, recorders, self, method, own, related or own, now, started, ids)
            if self._spans.start(exchange):
                recorders[0] = self._recorders
            exchange.begun = begun = f"{method} {info.scheme}"
            self._metrics.begin(begun)
        except Exception as error:
            self.report("start", error)
            return None
        return exchange

    def shown_path(self, path: str) -> str:
        """Return a path without secrets."""
        return self._redactor.path(path)

    @native.core.compiled
    def _enter(self, exchange: Exchange) -> None:
        """Write the exchange down in the ledger, and its line where that can't wait."""
        entry = exchange.entry()
        access_log = self._access_log
        if access_log is not None:
            if access_log.may_wait and not exchange.error_type and not exchange.fields:
                entry.is_line_due = True
            else:
                settle_all(patience=0)  # lines keep their order
                self._try("access_log", access_log.note, entry, exchange)
        self._ledger.add(entry)

    def _record(self, entries: list[Entry]) -> None:
        self._metrics.record(entries, self.report)
        if self._access_log is not None:
            self._try("access_log", self._access_log.write, entries)

    def _describe(self, error: BaseException) -> str:
        kind, message, _ = self._redactor.error(error)
        return f"{kind}: {message}" if message else kind

    def report(self, component: str, error: Exception) -> None:
        """Count a failure of our own, and log one at most in a minute."""
        self._metrics.instruments.internal_errors.labels(component).inc()
        now = monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        with suppress(Exception):  # of the user's handlers
            _logger.error(
                "obs-middleware failed in %s; the request was not affected", component, exc_info=error
            )


def _tracing_setup() -> Any:
    from obs_middleware.tracing import setup  # who sends no spans does without

    return setup
