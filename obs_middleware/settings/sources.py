"""Where settings come from: the framework's config and the environment, the weakest source first.

`OBS_*` beats the standard `OTEL_*` variables, which beat the short names (`LOG_LEVEL`). An empty variable counts as
unset (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). An empty path is none: it
switches a page of ours off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from obs_middleware._speedups import SWITCH
from obs_middleware.settings import otel

PATHS = ("metrics_path", "live_path", "ready_path", "startup_path", "drain_path")
_MAY_BE_EMPTY = (*PATHS, "health_path")

_PREFIX = "OBS_"
_SHORT = ("service_name", "service_version", "log_level", "redact_pii", "tracing_enabled", "otlp_endpoint")


def read(config: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield (setting, value, the user's name for it), the weakest source first."""
    yield from _short_names(env)
    yield from _otel_names(env)
    for source in (env, config):
        for label, value in source.items():
            if not isinstance(label, str) or not label.startswith(_PREFIX) or label == SWITCH:
                continue
            name = label[len(_PREFIX) :].lower()
            if value != "":
                yield name, value, label
            elif name in _MAY_BE_EMPTY:
                yield name, None, label


def _short_names(env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in _SHORT:
        if value := env.get(name.upper()):
            yield name, value, name.upper()


def _otel_names(env: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    pairs = (pair.partition("=") for pair in otel.resource_attributes(env))
    attributes = {key.strip(): unquote(value).strip() for key, _, value in pairs}
    for key, name in (
        ("service.name", "service_name"),
        ("service.version", "service_version"),
        ("deployment.environment", "environment"),
        ("deployment.environment.name", "environment"),
    ):
        if value := attributes.get(key):
            yield name, value, "OTEL_RESOURCE_ATTRIBUTES"
    if value := otel.read("OTEL_SERVICE_NAME", env):
        yield "service_name", value, "OTEL_SERVICE_NAME"
    if otel.read("OTEL_SDK_DISABLED", env).lower() == "true":
        yield "tracing_enabled", False, "OTEL_SDK_DISABLED"
    endpoint, label = otel.endpoint(env)
    if endpoint:
        yield "otlp_endpoint", endpoint, label
    sampler, ratio = otel.sampler(env)  # another one than these the SDK reads itself
    if sampler in ("parentbased_always_on", "parentbased_always_off"):
        yield "trace_sample_ratio", float(sampler.endswith("on")), otel.SAMPLER
    elif sampler == "parentbased_traceidratio":
        yield "trace_sample_ratio", ratio, otel.SAMPLER_ARG
