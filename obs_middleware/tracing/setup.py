"""Set the OpenTelemetry SDK up where the user has not, and only when there is somewhere to send spans to."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from obs_middleware.request_id import new
from obs_middleware.settings import ConfigError
from obs_middleware.sources import OTLP_ENDPOINTS
from obs_middleware.tracing.sampling import Sampling
from obs_middleware.tracing.server import SCHEMA, SCOPE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from obs_middleware.settings import Settings
    from obs_middleware.tracing.batch import PackedBatches
    from obs_middleware.tracing.direct import DirectTracer

_DEFAULT_RATIO = {"development": 1.0}
_OTHER_RATIO = 0.1
_OURS = "_obs_sampling"


def check(settings: Settings) -> None:
    """Check that what the settings want is installed.

    An endpoint of `OTEL_*` may be meant for other programs: what it needs is not missed here.

    Raises:
        ConfigError: an endpoint is set, but the exporter is not installed.
    """
    if (
        _is_wanted(settings)
        and not _is_standard(settings)
        and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    ):
        _import_sdk(settings)


def set_up(settings: Settings, environment: str) -> TracerProvider | None:
    """Install a global TracerProvider that exports over OTLP/HTTP, once, and return it.

    None where nothing is to be exported, or the user has a provider already, which stays.
    """
    if not _is_wanted(settings):
        return None
    present: Any = trace.get_tracer_provider()
    if not isinstance(present, trace.ProxyTracerProvider):
        return present if hasattr(present, _OURS) else None
    exporter, sdk = _import_sdk(settings)
    root = _root_sampler(settings, environment, sdk.sampling)
    own = None if root is None else Sampling(root.bound)
    provider: TracerProvider = sdk.TracerProvider(
        resource=_resource(settings, environment),
        sampler=None if root is None else sdk.sampling.ParentBased(root),
        id_generator=own,
    )
    from obs_middleware.tracing.batch import PackedBatches

    batches = PackedBatches(exporter(**_endpoint(settings)))
    provider.add_span_processor(batches)
    if own is not None:
        own.direct = _direct(provider, batches)
    setattr(provider, _OURS, own)
    trace.set_tracer_provider(provider)
    return provider


def sampling_of(provider: TracerProvider | None) -> Sampling | None:
    """Return how a provider of ours samples; None where the provider is another's, or the SDK alone knows."""
    return getattr(provider, _OURS, None)


def _is_wanted(settings: Settings) -> bool:
    return settings.otlp_endpoint is not None and settings.tracing_enabled


def _is_standard(settings: Settings) -> bool:
    """Tell whether the endpoint is that of `OTEL_*`, which the exporter reads itself, path rules and all."""
    return settings.otlp_endpoint in {os.environ.get(name) for name in OTLP_ENDPOINTS}


def _import_sdk(settings: Settings) -> tuple[Any, Any]:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    kind = "grpc" if protocol == "grpc" and _is_standard(settings) else "http"
    try:
        import opentelemetry.sdk.trace.export
        import opentelemetry.sdk.trace.sampling

        exporter = import_module(f"opentelemetry.exporter.otlp.proto.{kind}.trace_exporter").OTLPSpanExporter
    except ImportError as error:
        package = "'obs-middleware[otlp]'" if kind == "http" else "opentelemetry-exporter-otlp-proto-grpc"
        raise ConfigError(
            f"otlp_endpoint is set, but the exporter is not installed ({error}): pip install {package}"
        ) from None
    return exporter, opentelemetry.sdk.trace


def _direct(provider: TracerProvider, batches: PackedBatches) -> DirectTracer | None:
    try:
        from obs_middleware.tracing.direct import DirectTracer

        return DirectTracer(provider, batches, scope=SCOPE, schema=SCHEMA)
    except Exception:  # an SDK of another kind: it makes the spans itself
        return None


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


def _root_sampler(settings: Settings, environment: str, sampling: Any) -> Any:
    ratio = settings.trace_sample_ratio
    if ratio is None and os.environ.get("OTEL_TRACES_SAMPLER"):
        return None  # one that Settings has no word for: the SDK reads it itself
    if ratio is None:
        ratio = _DEFAULT_RATIO.get(environment, _OTHER_RATIO)
    return sampling.TraceIdRatioBased(ratio)


def _endpoint(settings: Settings) -> dict[str, str]:
    """Return the exporter's arguments."""
    endpoint = settings.otlp_endpoint or ""
    if _is_standard(settings):
        return {}
    return {"endpoint": endpoint if endpoint.endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"}
