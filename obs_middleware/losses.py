"""Tell what is lost of log lines and spans: lines that could not be written, spans that no collector has taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Signal = Literal["log_lines", "spans"]

_listeners: list[Callable[[Signal, int], object]] = []


def on_loss(listener: Callable[[Signal, int], object]) -> None:
    """Have a function called with what is lost, and how many of it."""
    _listeners.append(listener)


def lose(signal: Signal, count: int = 1) -> None:
    """Tell that something is lost."""
    for listener in _listeners:
        listener(signal, count)
