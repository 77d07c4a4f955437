"""Whose traces and metrics these are, as OpenTelemetry has it: https://opentelemetry.io/docs/specs/semconv/resource/"""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from obs_middleware import process
from obs_middleware.request_id import new

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

_UNKNOWN_SERVICE = "unknown_service"  # what settings and SDK have where nobody has named it


def resource_of(settings: Settings, environment: str) -> Any:
    """Return the SDK's Resource.

    What the user sets, in our settings or in `OTEL_RESOURCE_ATTRIBUTES`, and what a resource detector finds beat what
    we only suppose.
    """
    from opentelemetry.sdk.resources import Resource

    supposed = {
        "service.name": settings.service_name,
        "service.instance.id": _instance_id(process.pid()),
        "deployment.environment.name": environment,
        "host.name": platform.node(),
    }
    set_by_user = {
        "service.name": settings.service_name if settings.service_name != _UNKNOWN_SERVICE else None,
        "service.version": settings.service_version,
        "deployment.environment.name": settings.environment,
    }
    found = detected(process.pid()).merge(
        Resource({name: value for name, value in set_by_user.items() if value})
    )
    if str(found.attributes.get("service.name")).startswith(_UNKNOWN_SERVICE):  # by the SDK
        found = found.merge(Resource({"service.name": settings.service_name}))
    return Resource(supposed).merge(found)


@lru_cache(maxsize=1)
def detected(pid: int) -> Any:
    """Return what the SDK and its detectors find out of this process, once: at its end they can't run any more."""
    from opentelemetry.sdk.resources import Resource

    return Resource.create()


@lru_cache(maxsize=1)
def _instance_id(pid: int) -> str:
    """Return the ID of this process, the same for traces and metrics; a forked child has another."""
    return new()
