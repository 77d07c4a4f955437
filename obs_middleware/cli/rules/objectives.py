"""Objective: what share of a service's requests must succeed, or be fast; checked before any rule is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from obs_middleware.errors import ConfigError
from obs_middleware.metrics.exposition.text import as_in_go


class Objective(msgspec.Struct, frozen=True):
    """One objective of one service, or of one of its routes.

    Attributes:
        percent: of the requests that must be good.
        latency_seconds: a good request takes no longer; None: a good request does not fail.
        route: the template of the one route that is meant; empty: all of them.
        selector: matchers that choose the service's series.
    """

    service: str
    percent: Decimal
    selector: str
    latency_seconds: float | None = None
    route: str = ""

    @property
    def slo(self) -> str:
        """Return which of the service's objectives it is."""
        return "availability" if self.latency_seconds is None else "latency"

    @property
    def budget(self) -> Decimal:
        """Return the share of requests that may be bad."""
        return 1 - self.percent / 100

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of all that is recorded of it."""
        own = {"service": self.service, "slo": self.slo}
        return own | ({"route": self.route} if self.route else {})


def percent(text: object, *, name: str) -> Decimal:
    """Return a percentage that leaves a budget.

    Raises:
        ConfigError: it is no number from 1 to below 100.
    """
    try:
        number = Decimal(str(text))
    except ArithmeticError:
        number = Decimal("NaN")
    number = number.normalize() if number.is_finite() else Decimal(0)  # it rounds, to 100 perhaps
    if not 0 < number < 100:
        cure = " (an objective of 100 leaves no budget to burn)" if number == 100 else ""
        raise ConfigError(f"{name} must be a percentage between 0 and 100 such as 99.9, got {text!r}{cure}")
    if number < 1:
        meant = f"{(number * 100).normalize():f}"
        raise ConfigError(
            f"{name} must be a percentage such as 99.9, not a ratio, got {text!r}: did you mean {meant}?"
        )
    return number


def check_bound(seconds: float, bounds: Sequence[float], *, cure: str) -> None:
    """Raise unless requests are counted up to this latency.

    Raises:
        ConfigError: no bucket ends there.
    """
    if seconds in bounds:
        return
    near = sorted(bounds, key=lambda bound: abs(bound - seconds))[:3]
    raise ConfigError(
        f"latency must be a bound of the histogram, because requests are counted up to bounds alone, got {seconds:g}: "
        f"the nearest are {', '.join(f'{bound:g}' for bound in sorted(near))}. {cure}"
    )


def bucket_label(seconds: float) -> str:
    """Return the bound as the page has it in the label `le`."""
    return as_in_go(seconds)


def check_differ(objectives: Iterable[Objective]) -> None:
    """Raise where two objectives would record the same series.

    Raises:
        ConfigError: one is there twice.
    """
    seen = set[tuple[str, str, str]]()
    for one in objectives:
        key = one.service, one.slo, one.route
        if key in seen:
            of_route = f" of {one.route}" if one.route else ""
            raise ConfigError(
                f"{one.service} has two objectives of {one.slo}{of_route}: leave one of them out"
            )
        seen.add(key)
