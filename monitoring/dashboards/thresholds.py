"""Where the colour of a value changes."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Threshold

NEUTRAL = (Threshold(None, "blue"),)  # neither good nor bad: a rate, a count


def above(warning: float, critical: float) -> tuple[Threshold, ...]:
    """Green, orange from the first value on, red from the second."""
    return Threshold(None, "green"), Threshold(warning, "orange"), Threshold(critical, "red")


def below(warning: float, critical: float) -> tuple[Threshold, ...]:
    """Green from the first value on, orange below it, red below the second."""
    return Threshold(None, "red"), Threshold(critical, "orange"), Threshold(warning, "green")


def any_is_bad(colour: str = "red") -> tuple[Threshold, ...]:
    """Green at 0, because the first one is one too many."""
    return Threshold(None, "green"), Threshold(1e-9, colour)
