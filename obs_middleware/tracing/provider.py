"""Set the OpenTelemetry SDK up where the user has not, and only when there is somewhere to send spans to."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace

from obs_middleware.errors import ConfigError
from obs_middleware.request_id import new
from obs_middleware.settings.sources import OTLP_ENDPOINTS
from obs_middleware.tracing.sampling import Sampling

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from obs_middleware.settings import Settings
    from obs_middleware.tracing.recording_tracer import RecordingTracer, SpanProcessors

_DEFAULT_RATIO = {"development": 1.0}
_OTHER_RATIO = 0.1
_OURS = "_obs_sampling"
_PROTOCOL = "http/protobuf"
_SDK = "opentelemetry.sdk.trace", "opentelemetry.sdk.trace.sampling"


def check(settings: Settings) -> None:
    """Check that what the settings want is installed.

    An endpoint of `OTEL_*` may be meant for other programs: what it needs is not missed here.

    Raises:
        ConfigError: an endpoint is set, but the exporter is not installed.
    """
    if (
        settings.exports_spans
        and not _is_standard(settings)
        and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    ):
        _exporter(settings)


def set_up(settings: Settings, environment: str) -> TracerProvider | None:
    """Install a global TracerProvider that exports over OTLP/HTTP, once, and return it.

    None where nothing is to be exported, or the user has a provider already, which stays.
    """
    if not settings.exports_spans:
        return None
    present: Any = trace.get_tracer_provider()
    if not isinstance(present, trace.ProxyTracerProvider):
        return present if hasattr(present, _OURS) else None
    exporter = _exporter(settings)
    sdk, samplers = map(import_module, _SDK)
    from obs_middleware.tracing.packed_span import PackedBatchProcessor
    from obs_middleware.tracing.recording_tracer import SpanProcessors

    root = _root_sampler(settings, environment, samplers)
    sampling = None if root is None else Sampling(root.bound)
    processors = SpanProcessors(PackedBatchProcessor(exporter.make(), takes_packed=exporter.takes_packed))
    provider: TracerProvider = sdk.TracerProvider(
        resource=_resource(settings, environment),
        sampler=None if root is None else samplers.ParentBased(root),
        id_generator=sampling,
        active_span_processor=processors,
    )
    if sampling is not None:
        sampling.tracer = recording_tracer(provider, processors)
    setattr(provider, _OURS, sampling)
    trace.set_tracer_provider(provider)
    return provider


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
    return settings.otlp_endpoint in {os.environ.get(name) for name in OTLP_ENDPOINTS}


class _Exporter(NamedTuple):
    make: Callable[[], SpanExporter]
    takes_packed: bool


def _exporter(settings: Settings) -> _Exporter:
    """Return what makes the exporter: ours, or where it can't do what the variables want the SDK's own.

    Raises:
        ConfigError: it is not installed.
    """
    endpoint, protocol = _endpoint(settings), _protocol(settings)
    transport = "grpc" if protocol == "grpc" else "http"
    try:
        for name in (*_SDK, "opentelemetry.sdk.trace.export"):
            import_module(name)
        if protocol == _PROTOCOL:
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
    return _Exporter(stock if endpoint is None else partial(stock, endpoint=endpoint), False)


def _resource(settings: Settings, environment: str) -> Any:
    """https://opentelemetry.io/docs/specs/semconv/resource/"""
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {
            "service.name": settings.service_name,
            **({"service.version": settings.service_version} if settings.service_version else {}),
            "service.instance.id": new(),
            "deployment.environment.name": environment,
            "host.name": platform.node(),
        }
    )


def _root_sampler(settings: Settings, environment: str, samplers: Any) -> Any:
    ratio = settings.trace_sample_ratio
    if ratio is None and os.environ.get("OTEL_TRACES_SAMPLER"):
        return None  # one that Settings has no word for: the SDK reads it itself
    if ratio is None:
        ratio = _DEFAULT_RATIO.get(environment, _OTHER_RATIO)
    return samplers.TraceIdRatioBased(ratio)


def _protocol(settings: Settings) -> str:
    """Return the protocol of the variables, where the endpoint is theirs too."""
    names = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    named = filter(None, map(os.environ.get, names))
    return next(named, _PROTOCOL) if _is_standard(settings) else _PROTOCOL


def _endpoint(settings: Settings) -> str | None:
    """Return the whole URL to send to; None where the exporter reads it itself."""
    endpoint = settings.otlp_endpoint or ""
    if _is_standard(settings):
        return None
    return endpoint if endpoint.endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"
