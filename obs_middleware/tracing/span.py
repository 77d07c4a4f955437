"""A span of the SDK that makes what the SDK keeps in it when somebody looks, which for most server spans is never.

The SDK's methods all work on it as ever. Imported with the SDK only.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext

from obs_middleware.tracing.attributes import SpanFacts, at_start

if TYPE_CHECKING:
    from opentelemetry.trace import TraceFlags, TraceState

    from obs_middleware.redaction import Redactor
    from obs_middleware.request import RequestInfo

MADE_LATE = frozenset(("_attributes", "_context", "_events", "_known", "_links", "_lock"))


class ServerSpan(sdk.Span):
    """A span without what is in MADE_LATE; `direct.DirectTracer` makes it, and no constructor."""

    _ids: str  # the digits of the trace and the span ID
    _flags: TraceFlags
    _state: TraceState | None
    _began: tuple[str, RequestInfo, Redactor]
    _told: SpanFacts | None = None  # by the exchange that has ended
    _known: dict[str, str | int]  # attributes that need neither cleaning nor limits

    def __getattr__(self, name: str) -> Any:
        if name not in MADE_LATE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        own: Any = self.__dict__
        return own.setdefault(name, self._made(name))  # one for all threads

    def _made(self, name: str) -> Any:
        if name == "_context":
            ids = self._ids
            return SpanContext(int(ids[:32], 16), int(ids[32:], 16), False, self._flags, self._state)
        if name == "_lock":
            return Lock()
        if name == "_known":
            return at_start(*self._began) if self._told is None else self._told.all()
        if name == "_events":
            return self._new_events()  # type: ignore[no-untyped-call]
        if name == "_links":
            return self._new_links(())
        return BoundedAttributes(
            self._limits.max_span_attributes,
            dict(self._known),
            immutable=not self.is_recording(),
            max_value_len=self._limits.max_span_attribute_length,
        )
