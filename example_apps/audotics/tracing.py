"""`trace(name, function)`: run a function as a span."""

from collections.abc import Callable
from typing import TypeVar

from opentelemetry import trace as opentelemetry_trace

Result = TypeVar("Result")

tracer = opentelemetry_trace.get_tracer(__name__)


def trace(name: str, function: Callable[[], Result], **attributes: str | bool | int | float) -> Result:
    """Run a function as a span; an exception is recorded on it, makes its status ERROR, and is raised again."""
    with tracer.start_as_current_span(name, attributes=attributes):
        return function()
