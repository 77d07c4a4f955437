"""A counter of our own, of this process, and of all workers where several are one service.

It is none of prometheus-client's, which live in files where there are many processes (`PROMETHEUS_MULTIPROC_DIR`), and
which a MultiProcessCollector of the user's would show a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from obs_middleware.encodable import encodable
from obs_middleware.fork_lock import ForkLock


class OwnValue:
    """A number of this process. The counter's lock is around it: one of its own would stay locked in a forked child."""

    __slots__ = ("_value",)

    def __init__(self, *_: object) -> None:
        self._value = 0.0

    def inc(self, amount: float) -> None:
        """Add to the number."""
        self._value += amount

    def get(self) -> float:
        """Return the number."""
        return self._value


class OwnCounter(Collector):
    """Count by the value of one label.

    Attributes:
        kind: makes a value, as a class of prometheus-client's does; of all counters, also of those that come later.
    """

    kind: ClassVar[Callable[..., Any]] = OwnValue

    def __init__(self, name: str, documentation: str, label: str) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._counts: dict[str, Any] = {}
        self._adding = ForkLock()  # a value that gets no cell is reported, and may be counted here

    def inc(self, value: str, amount: float = 1.0) -> None:
        """Count one, or so many, for a value of the label."""
        with self._adding:  # the value may be about to be replaced
            count = self._counts.get(value)
            if count is None:
                count = self._add(value)
            count.inc(amount)

    def move(self, is_old: Callable[[Any], bool]) -> None:
        """Keep the counts in values of the present kind, where they are in old ones."""
        with self._adding:
            for value, count in list(self._counts.items()):
                if is_old(count):
                    self._move(value, count)

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = self._family()
        for value, count in list(self._counts.items()):
            family.add_metric((value,), count.get())
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield the name that the registry keeps for us."""
        yield self._family()

    def _add(self, value: str) -> Any:
        value = encodable(value)
        if value not in self._counts:
            count = self._counts[value] = self._made(OwnValue, value)
            if self.kind is not OwnValue:
                self._move(value, count)
        return self._counts[value]

    def _move(self, value: str, count: Any) -> None:
        moved = self._made(self.kind, value)
        moved.inc(count.get())
        self._counts[value] = moved

    def _made(self, kind: Any, value: str) -> Any:
        name = self._name
        return kind("counter", name, f"{name}_total", (self._label,), (value,), self._documentation)

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._documentation, labels=(self._label,))
