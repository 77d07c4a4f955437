"""The programs that agents may run. They stand for WASM modules: pure, metered, and able to trap."""

from collections.abc import Callable, Sequence


class Trap(Exception):
    """A program that could not go on."""


def rank(values: Sequence[float]) -> list[int]:
    """Indices of the values, largest first."""
    return sorted(range(len(values)), key=lambda index: -values[index])


def mean(values: Sequence[float]) -> list[float]:
    if not values:
        raise Trap("integer divide by zero")
    return [sum(values) / len(values)]


PROGRAMS: dict[str, Callable[[Sequence[float]], Sequence[float]]] = {"rank": rank, "mean": mean}


def cost_units(values: Sequence[float]) -> int:
    return 1 + len(values)
