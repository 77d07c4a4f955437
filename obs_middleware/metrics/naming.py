"""Names and units of metrics as Prometheus wants them: what `promtool check metrics` would complain about, at once.

https://prometheus.io/docs/practices/naming/ and the linter's rules, prometheus/client_golang `testutil/promlint`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from obs_middleware.label_names import is_label_name

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_CAMEL_CASE = re.compile(r"[a-z][A-Z]")
_ABBREVIATIONS = frozenset({"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"})
_METRIC_PREFIXES = (
    "pico nano micro milli centi deci deca hecto kilo kibi mega mibi giga gibi tera tebi peta pebi"
)
_PREFIXES = ("", *_METRIC_PREFIXES.split())
_BASE_UNITS = {
    "amperes": "amperes",
    "bytes": "bytes",
    "celsius": "celsius",
    "grams": "grams",
    "joules": "joules",
    "kelvin": "kelvin",
    "meters": "meters",
    "metres": "metres",
    "seconds": "seconds",
    "volts": "volts",
}
_OTHER_UNITS = {
    "minutes": "seconds",
    "hours": "seconds",
    "days": "seconds",
    "weeks": "seconds",
    "kelvins": "kelvin",
    "fahrenheit": "celsius",
    "rankine": "celsius",
    "inches": "meters",
    "yards": "meters",
    "miles": "meters",
    "bits": "bytes",
    "calories": "joules",
    "pounds": "grams",
    "ounces": "grams",
}
_UNITS = _BASE_UNITS | _OTHER_UNITS
_SUFFIXES = {  # that only a metric of these types may have
    "_total": ("counter",),
    "_bucket": ("histogram",),
    "_count": ("histogram", "summary"),
    "_sum": ("histogram", "summary"),
    "_created": (),
}
_RESERVED_LABELS = {"histogram": "le", "summary": "quantile"}


def faults(kind: str, name: object, documentation: object, labelnames: Sequence[object]) -> Iterator[str]:
    """Yield what Prometheus can't take.

    Args:
        kind: the type, such as `counter`.
    """
    if not _is_name(name):
        yield f"the name must be letters, digits and underscores, and begin with no digit, got {name!r}"
    if not isinstance(documentation, str) or not documentation.strip():
        yield f"a documentation is needed, a sentence that says what is counted, got {documentation!r}"
    for label in labelnames:
        if not is_label_name(label):
            yield f"a label must be letters, digits and underscores, and not begin with two, got {label!r}"
        elif label == (name if kind == "enum" else _RESERVED_LABELS.get(kind)):
            yield f"the label {label!r} is the {kind}'s own: leave it out"
    if len(set(map(str, labelnames))) < len(labelnames):
        yield f"the labels must differ, got {', '.join(map(str, labelnames))}"


def _is_name(word: object) -> bool:
    return isinstance(word, str) and _NAME.match(word) is not None


def with_article(kind: str) -> str:
    """Return a type with its article."""
    return f"an {kind}" if kind[0] in "ei" else f"a {kind}"


def complaints(kind: str, name: str, labelnames: Sequence[str]) -> Iterator[str]:
    """Yield what Prometheus takes, and its linter complains about.

    Args:
        kind: the type, such as `counter`.
        name: the whole name, with its prefix and unit; a counter's may end in `_total` or not.
    """
    parts = name.split("_")
    for suffix, kinds in _SUFFIXES.items():
        if name.endswith(suffix) and kind not in kinds:
            yield f"{with_article(kind)} must not end in {suffix}"
    yield from _other_unit(parts)
    for short in _ABBREVIATIONS.intersection(parts[1:]):
        yield f"units are written out, got {short!r}"
    if kind in parts[1:]:
        yield f"the name must not tell the type, got {kind!r}"
    for word in (name, *labelnames):
        if _CAMEL_CASE.search(word):
            yield f"names are snake_case, got {word!r}"
    for owner, label in _RESERVED_LABELS.items():
        if label in labelnames and kind != owner:
            yield f"the label {label!r} belongs to a {owner}"


def _other_unit(parts: Sequence[str]) -> Iterator[str]:
    """Yield the complaint about a unit that is no base unit; the first unit in a name counts, as the linter has it."""
    for part in parts:
        for prefix in _PREFIXES:
            base = _UNITS.get(part.removeprefix(prefix)) if part.startswith(prefix) else None
            if base is not None:
                if base != part:
                    yield f"{base} is the base unit, got {part!r}"
                return
