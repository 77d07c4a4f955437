"""Set the OpenTelemetry SDK up where the user has not, and only when there is somewhere to send spans to."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace

from obs_middleware import process
from obs_middleware.deadline import STOP_SECONDS, deadline
from obs_middleware.errors import ConfigError
from obs_middleware.resource import resource_of
from obs_middleware.settings import otel
from obs_middleware.tracing.sampling import Sampling

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from obs_middleware.settings import Settings
    from obs_middleware.tracing.recording_tracer import RecordingTracer, SpanProcessors

_DEFAULT_RATIO = {"development": 1.0}
_OTHER_RATIO = 0.1
_OURS = "_obs_sampling"
_SAMPLERS = "opentelemetry_traces_sampler"  # the entry points of packages
_SDK = "opentelemetry.sdk.trace", "opentelemetry.sdk.trace.sampling"


def check(settings: Settings) -> None:
    """Check that what the settings want is installed.

    An endpoint of `OTEL_*` may be meant for other programs: what it needs is not missed here.

    Raises:
        ConfigError: an endpoint is set, but the exporter is not installed.
    """
    if settings.exports_spans and not _is_standard(settings):
        with otel.readable():
            if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
                _exporter(settings)


def set_up(settings: Settings, environment: str) -> TracerProvider | None:
    """Install a global TracerProvider that exports over OTLP, once, and return it.

    None where nothing can be exported, or the user has a provider already, which stays.

    Args:
        settings: have an endpoint.
    """
    with otel.readable_variable(otel.PROVIDER):
        present: Any = trace.get_tracer_provider()
    if not isinstance(present, trace.ProxyTracerProvider):
        return present if hasattr(present, _OURS) else None
    with otel.readable():
        try:
            return _set_up(settings, environment)
        except Exception as error:
            if not _is_standard(settings):
                raise
            # The endpoint may be meant for other programs.
            endpoint, label = otel.endpoint()
            otel.warn(label, endpoint, "an endpoint that can be used", cure=f"no spans are sent: {error}")
            return None


def _set_up(settings: Settings, environment: str) -> TracerProvider:
    exporter = _exporter(settings)
    sdk, samplers = map(import_module, _SDK)
    from obs_middleware.tracing.packed_span import PackedBatchProcessor
    from obs_middleware.tracing.recording_tracer import SpanProcessors

    root = _root_sampler(settings, environment, samplers)
    sampling = None if root is None else Sampling(root.bound)
    processors = SpanProcessors(PackedBatchProcessor(exporter.make(), takes_packed=exporter.takes_packed))
    provider: TracerProvider = sdk.TracerProvider(
        resource=resource_of(settings, environment),
        sampler=_users_sampler() if root is None else samplers.ParentBased(root),
        id_generator=sampling,
        active_span_processor=processors,
        shutdown_on_exit=False,  # by the SDK, which may wait for half a minute
    )
    if sampling is not None:
        sampling.tracer = recording_tracer(provider, processors)
    setattr(provider, _OURS, sampling)
    trace.set_tracer_provider(provider)
    deadline.hold_thread()
    process.on_exit(lambda: _stop(provider))
    return provider


def _stop(provider: TracerProvider) -> None:
    """Send what waits before the process ends, unless that has been tried in vain when the app was closed."""

    def shut_down() -> None:
        with suppress(Exception):
            provider.shutdown()

    deadline.within(0.0 if deadline.was_missed else STOP_SECONDS, shut_down)


def sampling_of(provider: TracerProvider | None) -> Sampling | None:
    """Return how a provider of ours samples; None where the provider is another's, or the SDK alone knows."""
    return getattr(provider, _OURS, None)


def recording_tracer(provider: TracerProvider, processors: SpanProcessors) -> RecordingTracer | None:
    """Return what starts a provider's server spans; None where the SDK has to."""
    from obs_middleware.tracing.recording_tracer import RecordingTracer

    try:
        return RecordingTracer(provider, processors)
    except ValueError:
        return None


def _is_standard(settings: Settings) -> bool:
    """Tell whether the endpoint is that of `OTEL_*`, which the exporter reads itself, path rules and all."""
    return settings.otlp_endpoint == otel.endpoint()[0]


class _Exporter(NamedTuple):
    make: Callable[[], SpanExporter]
    takes_packed: bool


def _exporter(settings: Settings) -> _Exporter:
    """Return what makes the exporter: ours, or where it can't do what the variables want the SDK's own.

    Raises:
        ConfigError: it is not installed.
    """
    endpoint = _endpoint(settings)
    protocol = otel.protocol() if endpoint is None else otel.HTTP_PROTOCOL
    transport = "grpc" if protocol == "grpc" else "http"
    try:
        for name in (*_SDK, "opentelemetry.sdk.trace.export"):
            import_module(name)
        if protocol == otel.HTTP_PROTOCOL:
            from obs_middleware.tracing.otlp.connection import target

            collector = target(endpoint)
            if collector is not None:
                from obs_middleware.tracing.otlp.exporter import OtlpExporter

                return _Exporter(partial(OtlpExporter, collector), True)
        stock = import_module(
            f"opentelemetry.exporter.otlp.proto.{transport}.trace_exporter"
        ).OTLPSpanExporter
    except ImportError as error:
        package = (
            "'obs-middleware[otlp]'" if transport == "http" else "opentelemetry-exporter-otlp-proto-grpc"
        )
        raise ConfigError(
            f"otlp_endpoint is set, but the exporter is not installed ({error}): pip install {package}"
        ) from None
    seconds = otel.timeout_seconds()
    options = {} if seconds is None else {"timeout": seconds}
    return _Exporter(partial(stock, **options, **({} if endpoint is None else {"endpoint": endpoint})), False)


def _root_sampler(settings: Settings, environment: str, samplers: Any) -> Any:
    ratio = settings.trace_sample_ratio
    if ratio is None and os.environ.get(otel.SAMPLER):
        return None  # one that Settings has no word for: the SDK reads it itself
    if ratio is None:
        ratio = _DEFAULT_RATIO.get(environment, _OTHER_RATIO)
    return samplers.TraceIdRatioBased(ratio)


def _users_sampler() -> Any:
    """Return a sampler that a package of the user's offers; None for the SDK's own, which it makes itself."""
    name, _ = otel.sampler()
    if name in otel.SAMPLERS or not otel.has_entry_point(_SAMPLERS, name):
        return None
    from importlib.metadata import entry_points

    (entry_point, *_) = entry_points(group=_SAMPLERS, name=name)
    argument = otel.read(otel.SAMPLER_ARG)
    return entry_point.load()(argument or None)


def _endpoint(settings: Settings) -> str | None:
    """Return the whole URL to send to; None where the exporter reads it itself."""
    endpoint = settings.otlp_endpoint or ""
    if _is_standard(settings):
        return None
    return endpoint if endpoint.endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"
