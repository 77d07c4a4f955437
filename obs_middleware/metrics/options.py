"""What a declaration takes besides a name and a documentation; an error says what is wanted, got, and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import inf
from typing import Any, Literal, get_args

from obs_middleware.errors import ConfigError

MultiprocessMode = Literal[
    "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"
]

_OF_ALL = ("labelnames", "unit", "max_series", "allowed", "lint")
_OF_ONE = {"gauge": ("function", "multiprocess_mode"), "histogram": ("buckets",), "enum": ("states",)}


def labelnames_of(metric: str, value: object) -> tuple[str, ...]:
    """Return the names of labels."""
    return _texts(metric, "labelnames", value, example="status")


def unit_of(metric: str, kind: str, value: object) -> str:
    """Return the unit; empty where there is none."""
    if not isinstance(value, str):
        raise ConfigError(f"metric {metric}: unit must be a text such as 'seconds', got {value!r}")
    if value and kind in ("info", "enum"):
        raise ConfigError(f"metric {metric}: an {kind} has no unit, got {value!r}")
    return value


def allowed_of(metric: str, labelnames: tuple[str, ...], value: object) -> dict[str, frozenset[str]]:
    """Return by label the values that it may have; one text stands for itself."""
    given = {} if value is None else value
    by_label = (
        {label: (values,) if isinstance(values, str) else _several(values) for label, values in given.items()}
        if isinstance(given, Mapping)
        else {"": None}
    )
    found = {label: frozenset(map(str, values)) for label, values in by_label.items() if values is not None}
    if len(found) < len(by_label):
        cure = {labelnames[0] if labelnames else "plan": ["free"]}
        raise ConfigError(
            f"metric {metric}: allowed must be a dict of labels and their values, got {value!r}: allowed={cure!r}"
        )
    return found


def options_of(metric: str, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one kind of metric takes alone."""
    known = _OF_ONE.get(kind, ())
    for name, value in options.items():
        if name == "labels":
            names = [value] if isinstance(value, str) else value
            raise ConfigError(f"metric {metric}: labels={value!r} is no option: labelnames={names!r}")
        if name not in known:
            wanted = ", ".join((*_OF_ALL, *known))
            raise ConfigError(f"metric {metric}: {name}={value!r} is no option: there are {wanted}")
    found = dict(options)
    if "buckets" in found:
        found["buckets"] = _buckets_of(metric, found["buckets"])
    if "states" in found:
        found["states"] = states = _texts(metric, "states", found["states"], example="open")
        if not states or not all(isinstance(state, str) for state in states) or len({*states}) < len(states):
            raise ConfigError(f"metric {metric}: states must be texts that differ, got {[*states]!r}")
    mode = found.get("multiprocess_mode", "all")
    if mode not in get_args(MultiprocessMode):
        wanted = ", ".join(get_args(MultiprocessMode))
        raise ConfigError(f"metric {metric}: multiprocess_mode must be one of {wanted}, got {mode!r}")
    return found


def _texts(metric: str, option: str, value: object, *, example: str) -> tuple[Any, ...]:
    found = _several(value)
    if found is None:
        cure = [value if isinstance(value, str) else example]
        raise ConfigError(
            f"metric {metric}: {option} must be a list of texts, got {value!r}: {option}={cure!r}"
        )
    return found


def _buckets_of(metric: str, value: object) -> tuple[float, ...]:
    given = _several(value)
    try:
        numbers = tuple(map(float, given or ()))
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if numbers and numbers[0] < inf and all(one < other for one, other in pairwise(numbers)):
        return numbers
    got = value if given is None else [*given]
    cure = sorted({number for number in numbers if number < inf}) or [0.1, 1.0, 10.0]
    raise ConfigError(f"metric {metric}: buckets must be numbers that rise, got {got!r}: buckets={cure!r}")


def _several(value: object) -> tuple[Any, ...] | None:
    """Return what is listed; None where one text stands in place of a list, or nothing."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else None
