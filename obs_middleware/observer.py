"""Observer: what a user holds, one for each app; it makes health, metrics, logs and tracing for the Gateway.

observer = Observer(service_name="shop")
app.add_middleware(ObservabilityMiddleware, observer=observer)

@observer.health.check("database")
async def database() -> None: ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import prometheus_client

from obs_middleware.errors import ConfigError, Failures
from obs_middleware.events import Events
from obs_middleware.export.exporters import Exporters
from obs_middleware.gateway import Gateway
from obs_middleware.health.answers import Probes
from obs_middleware.health.changes import HealthSignals
from obs_middleware.health.drain import drain_endpoint
from obs_middleware.health.registry import Health
from obs_middleware.health.watchdog import Watchdog
from obs_middleware.lifecycle import STOPPED, Lifecycle
from obs_middleware.logs.access_log import AccessLog
from obs_middleware.logs.json_value import JsonValues
from obs_middleware.logs.setup import LogSetup
from obs_middleware.metrics.adapter_metrics import AdapterMetrics
from obs_middleware.metrics.business import Metrics
from obs_middleware.metrics.collection import default_labels
from obs_middleware.metrics.endpoint import metrics_endpoint
from obs_middleware.metrics.http import HttpMetrics
from obs_middleware.metrics.plan import Plan
from obs_middleware.metrics.runtime import RuntimeMetrics
from obs_middleware.metrics.self_telemetry import SelfTelemetry
from obs_middleware.metrics.worker_metrics import worker_metrics
from obs_middleware.ops.access import Access
from obs_middleware.ops.app_pages import AppPages
from obs_middleware.ops.endpoints import Endpoints
from obs_middleware.redaction import Redactor
from obs_middleware.settings import Settings
from obs_middleware.tenancy import Tenancy
from obs_middleware.tracing.server_span import ServerSpans

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry
    from typing_extensions import Unpack

    from obs_middleware.exchange import Exchange
    from obs_middleware.settings.keywords import Keywords


class Observer:
    """Observe one app.

    Args:
        settings: all settings at once; or give single ones as keywords, over the environment's.
        registry: where the metrics live, prometheus-client's own default unless given.
        tracer_provider: makes the server spans, the global one unless given.
        keywords: settings by name.

    Attributes:
        metrics: declares metrics of the app itself.
        events: `record` counts, keeps and logs an event of the app, and puts it on the span.
        exporters: `add` brings metrics elsewhere without a scrape, `job` at the end of a batch job.
        health: `check` and `add` register checks, `on_change` a listener.
        lifecycle: `initialiser`, `started()`, `drain()` and `on_change`: how the app starts and ends.
        gateway: what an adapter holds.

    Raises:
        ConfigError: a setting is unknown or not as it must be, or what it needs is not installed.
    """

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
        if settings is not None and not isinstance(settings, Settings):
            raise ConfigError(
                f"settings must be Settings, got {settings!r}: give single ones by name, Observer(service_name='shop')"
            )
        if registry is not None and not isinstance(registry, prometheus_client.CollectorRegistry):
            raise ConfigError(
                f"registry must be a CollectorRegistry of prometheus-client, got {registry!r}: "
                "without one, it is prometheus-client's default"
            )
        self.settings = settings = settings or Settings.load(**keywords)
        self.registry = prometheus_client.REGISTRY if registry is None else registry
        redactor = Redactor.of(settings)
        redactor.show_addresses(settings.client_address)
        spans = ServerSpans(settings, redactor, tracer_provider=tracer_provider)
        # First in the registry: its hooks refresh what comes after it.
        self.metrics = Metrics(
            self.registry,
            settings,
            count_overflow=lambda name: metrics.instruments.overflow.inc(name),  # noqa: PLW0108 made below
            report=lambda component, error: failures.report(component, error),  # noqa: PLW0108
            environment=lambda: self.gateway.environment,
        )
        metrics = HttpMetrics(self.registry, Plan(settings), max_series=settings.metrics_max_series)
        failures = Failures(metrics.count_failure, redactor.error)
        SelfTelemetry.observe(self.registry, failures.report)
        worker_metrics.configure(
            workers=settings.metrics_workers,
            directory=settings.metrics_directory,
            service_name=settings.service_name,
            report=failures.report,
        )
        self.events = Events(
            settings.events_kept,
            redacted=lambda fields: JsonValues(redactor).value(fields),
            redacted_name=redactor.cached_text,
            count=self.metrics.count_event,
            count_overflow=lambda: metrics.instruments.overflow.inc("telemetry_events"),
            guard=failures.guard,
        )
        self.exporters = Exporters(
            self.metrics,
            settings,
            labels=lambda: default_labels(settings, self.gateway.environment),
            events_count=lambda: self.events.count,
            count_failure=self.metrics.count_export_failure,
            describe=redactor.describe,
        )
        adapter_metrics = AdapterMetrics(self.registry, failures.report)
        set_status, count_run = adapter_metrics.health()
        self.health = Health(
            HealthSignals(
                describe=redactor.describe,
                redacted=lambda fields: JsonValues(redactor).value(fields),
                count_run=count_run,
                set_status=set_status,
                record_event=self.events.record_silently,
                report=failures.report,
            )
        )
        self.lifecycle = Lifecycle(settings, report=failures.report, describe=redactor.describe)
        if settings.health_token is not None and settings.drain_path is not None:
            self.lifecycle.shared_folder = worker_metrics.folder
        log_setup = LogSetup(settings)
        access = Access(settings, count=metrics.count_refusal, redacted=redactor.address)
        watchdog = None if settings.watchdog_seconds is None else Watchdog(settings.watchdog_seconds)
        probes = Probes(self.health, self.lifecycle, settings, access, watchdog=watchdog)
        self.gateway = Gateway(
            settings,
            failures=failures,
            redactor=redactor,
            metrics=metrics,
            spans=spans,
            log_setup=log_setup,
            access_log=AccessLog(redactor, log_setup.look_again) if settings.access_log else None,
            health=self.health,
            probes=probes,
            lifecycle=self.lifecycle,
            exporters=self.exporters,
            adapter_metrics=adapter_metrics,
            runtime=RuntimeMetrics(self.registry, settings.runtime_metrics, failures.report),
            proxies=access.proxies,
            tenancy=Tenancy(settings, redactor.cached_text),
            app_pages=AppPages(settings.own_paths, is_own_registry=registry is not None, failures=failures),
            endpoints=Endpoints(
                [
                    metrics_endpoint(settings, self.registry, failures.report, access),
                    *probes.endpoints(),
                    drain_endpoint(settings, self.lifecycle, access),
                ],
                aliases=probes.aliases(),
                prefix=settings.health_path,
                below=probes.below,
            ),
        )

    @classmethod
    def given_or_new(
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
        if not isinstance(observer, Observer):
            raise ConfigError(
                f"observer must be an Observer, got {observer!r}: make one, Observer(service_name='shop')"
            )
        if keywords:
            raise ConfigError(
                f"give either an observer or settings, got an observer and {', '.join(keywords)}"
            )
        return observer

    def start(self) -> None:
        """Set logs and traces up, join the service's metrics and begin exports, where no server does.

        For a process that serves no requests, such as a worker of a queue; `close()` ends it.
        """
        if self.lifecycle.state == STOPPED:
            self.gateway.starting()
        self.gateway.set_up()
        self.gateway.started()

    @contextmanager
    def continue_trace(self, headers: Mapping[str, str]) -> Iterator[Exchange]:
        """Go on with the request that has made a job: its trace, its baggage, its request and correlation ID.

        Spans of the block are children of the span that made the job. Lines have the IDs and what `bind()` adds, and
        `outgoing_headers()` carries them further. Without a trace in the headers the first span begins one.

        Args:
            headers: what `outgoing_headers()` has returned there, kept with the job; `{}` for a job of nobody's.
        """
        exchange = self.gateway.continued(headers)
        try:
            with exchange:
                yield exchange
        finally:
            exchange.finish()

    def close(self) -> None:
        """Drain, write the lines and send the spans that still wait; it takes up to five seconds."""
        self.gateway.stopped()
