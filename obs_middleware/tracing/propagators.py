"""OpenTelemetry's own propagators: baggage, and those that the user has chosen.

Imported where they are wanted, because a process needs none of it without baggage, calls made from requests and
propagators of its own.
"""

from __future__ import annotations

from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from obs_middleware.request import RequestInfo


def with_baggage(context: Context, info: RequestInfo) -> Context:
    """Return the context with the caller's baggage (https://www.w3.org/TR/baggage/)."""
    return _baggage.extract(info, context, _HeaderGetter())


def with_propagators(context: Context, info: RequestInfo) -> Context:
    """Return the context that the user's own propagators, of `OTEL_PROPAGATORS` or set in code, make of the headers."""
    return propagate.extract(info, context, _HeaderGetter())


class _HeaderGetter(Getter[RequestInfo]):
    def get(self, carrier: RequestInfo, key: str) -> list[str] | None:
        value = carrier.header(key.lower())
        return None if value is None else [value]

    def keys(self, carrier: RequestInfo) -> list[str]:
        return list(carrier.header_names())  # propagators that search by prefix ask for it


_baggage = W3CBaggagePropagator()
