"""Look a number up in the results of a run; None where it was not measured."""

from __future__ import annotations

from typing import Any

from benchmarks.variants import METRICS_PEERS

Results = dict[str, Any]


def row(results: Results, part: str, **wanted: Any) -> dict[str, Any] | None:
    """Return the row of a part that has these values."""
    rows = results.get(part) or []
    return next((one for one in rows if all(one.get(key) == value for key, value in wanted.items())), None)


def value(results: Results, part: str, key: str, **wanted: Any) -> Any:
    """Return one value of a row."""
    found = row(results, part, **wanted)
    return None if found is None else found.get(key)


def added(
    results: Results,
    framework: str,
    variant: str,
    *,
    routes: int = 1,
    kind: str = "item",
    exporter: str = "drop",
) -> float | None:
    """Return the microseconds that a variant adds to a request."""
    spread = value(
        results,
        "request",
        "added_us",
        framework=framework,
        variant=variant,
        routes=routes,
        kind=kind,
        exporter=exporter,
    )
    return None if spread is None else float(spread["median"])


def instructed(
    results: Results, framework: str, variant: str, *, routes: int = 1, kind: str = "item"
) -> float | None:
    """Return the instructions that a variant adds to a request."""
    where = {"framework": framework, "routes": routes, "kind": kind}
    with_it, bare = (
        value(results, "instructions", "instructions", variant=name, **where) for name in (variant, "bare")
    )
    return None if with_it is None or bare is None else float(with_it - bare)


def cheapest(results: Results, framework: str, **where: Any) -> float | None:
    """Return what the cheapest metrics peer of a framework adds."""
    known = (added(results, framework, name, **where) for name in METRICS_PEERS)
    return min((one for one in known if one is not None), default=None)


def grown(results: Results, framework: str, variant: str, *, when: str = "after") -> float | None:
    """Return the megabytes that a variant has resident over the bare app."""
    own = value(results, "memory", when, framework=framework, variant=variant)
    bare = value(results, "memory", when, framework=framework, variant="bare")
    return None if own is None or bare is None else float(own["rss"] - bare["rss"])
