"""The PromQL that dashboards have in common: sums, rates, shares, quantiles and means of the series in a scope.

A share is 0 where nothing has failed yet, because the series of a failure begins with the first one. Where nothing at
all has happened, there is no share, and the panel says so.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Scope:
    """The series that a dashboard is about: the matchers of its variables."""

    matchers: tuple[str, ...]

    def series(self, name: str, *matchers: str) -> str:
        return f"{name}{{{', '.join((*self.matchers, *matchers))}}}"

    def total(self, name: str, *matchers: str, by: str = "") -> str:
        """Sum a gauge."""
        return f"sum{_by(by)} ({self.series(name, *matchers)})"

    def highest(self, name: str, *matchers: str, by: str = "") -> str:
        """Take the highest value of a gauge: where several processes say the same of one database."""
        return f"max{_by(by)} ({self.series(name, *matchers)})"

    def rate(self, name: str, *matchers: str, by: str = "", window: str = WINDOW) -> str:
        """Sum the rate per second of a counter."""
        return f"sum{_by(by)} (rate({self.series(name, *matchers)}[{window}]))"

    def increase(self, name: str, *matchers: str, by: str = "", window: str = "$__range") -> str:
        return f"sum{_by(by)} (increase({self.series(name, *matchers)}[{window}]))"

    def share(self, name: str, part: str, *matchers: str, by: str = "", window: str = WINDOW) -> str:
        """Divide the rate of a part of a counter by the rate of the whole; 0 where there is no such part."""
        whole = self.rate(name, *matchers, by=by, window=window)
        return f"({self.rate(name, *matchers, part, by=by, window=window)} or 0 * {whole})\n  / ({whole} > 0)"

    def quantile(self, quantile: float, name: str, *matchers: str, by: str = "") -> str:
        """Estimate a quantile of a classic histogram."""
        buckets = self.rate(f"{name}_bucket", *matchers, by=", ".join(filter(None, ("le", by))))
        return f"histogram_quantile({quantile}, {buckets})"

    def mean(self, name: str, *matchers: str, by: str = "") -> str:
        """Divide the sum of a histogram or a summary by its count."""
        sums, counts = (self.rate(f"{name}_{part}", *matchers, by=by) for part in ("sum", "count"))
        return f"{sums}\n  / ({counts} > 0)"


def or_zero(query: str) -> str:
    """Say 0 where a query finds nothing: for counters that begin with the first failure."""
    return f"{query} or vector(0)"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
