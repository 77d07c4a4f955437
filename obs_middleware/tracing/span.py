"""A span of the SDK that makes what the SDK keeps in it when somebody looks, which for most server spans is never.

The SDK's methods all work on it as ever. Imported with the SDK only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext

if TYPE_CHECKING:
    from opentelemetry.trace import TraceFlags, TraceState

MADE_LATE = frozenset(("_attributes", "_context", "_events", "_links"))


class ServerSpan(sdk.Span):
    """A span without what is in MADE_LATE; `direct.DirectTracer` makes it, and no constructor."""

    _ids: tuple[int, int, bool, TraceFlags, TraceState | None]
    _known: dict[str, str | int]  # attributes that need neither cleaning nor limits

    def __getattr__(self, name: str) -> Any:
        if name not in MADE_LATE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        own: Any = self.__dict__
        return own.setdefault(name, self._made(name))  # one for all threads

    def _made(self, name: str) -> Any:
        if name == "_context":
            return SpanContext(*self._ids)
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
