"""prometheus-client's own counters, gauges, summaries and histograms, read from the inside.

This and kinds.py alone know private attributes of prometheus-client's metrics. Nothing is believed: a class is read so
only after specimens of it came out byte for byte as prometheus-client writes them, and a series that is not as
expected (a gauge with a function, a value of another class) is left to prometheus-client's own encoder.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import metrics, values
from prometheus_client.metrics_core import Metric

from obs_middleware.metrics.form import OPENMETRICS, TEXT, Form
from obs_middleware.metrics.kinds import KINDS, UnusualError
from obs_middleware.metrics.text import AFTER, BEFORE, Labels, add_exemplars, is_plain, number, template

_LATE = 50  # lines that are joined at a time
_METHODS = ("collect", "describe", "_samples", "_multi_samples", "_child_samples")


def blocks(metric: Any, form: Form) -> Iterator[str] | None:
    """Return the text of a metric, a series at a time; None for one that we do not know."""
    kind: Any = type(metric)
    if kind not in KINDS or values.ValueClass is not values.MutexValue:
        return None
    try:
        if not _is_plain(metric, form):
            return None
        code = tuple(getattr(kind, name) for name in _METHODS)
        if not _is_alike(kind, code, form.is_openmetrics, _uses_created()):
            return None
        return _Walk(metric, form).blocks()
    except Exception:  # another release
        return None


def _is_plain(metric: Any, form: Form) -> bool:
    names = metric._labelnames
    return (
        form.is_plain
        and is_plain(metric._name, *names)
        and len(set(names)) == len(names)
        and all(_is_untouched(metric, method) for method in _METHODS)
    )


def _is_untouched(metric: Any, method: str) -> bool:
    """Tell whether a method is its class's; without `__dict__`, which would be made for it and stay."""
    return getattr(getattr(metric, method), "__func__", None) is getattr(type(metric), method)


def _uses_created() -> bool:
    return bool(getattr(metrics, "_use_created", True))


@lru_cache(maxsize=64)
def _is_alike(kind: Hashable, code: tuple[Any, ...], is_openmetrics: bool, uses_created: bool) -> bool:
    """Tell whether a class, with this code for methods, comes out as prometheus-client writes it."""
    form = OPENMETRICS if is_openmetrics else TEXT
    return all(
        "".join(_Walk(specimen, form).blocks()) == form.text(*specimen.collect())
        for specimen in _specimens(kind)
    )


def _specimens(kind: Any) -> Iterator[Any]:
    for names in ((), ("a", "z")):
        specimen = kind("specimen", 'A "specimen".', names, registry=None)
        KINDS[kind].fill(specimen.labels('"', "\\") if names else specimen)
        yield specimen


class _Walk:
    """One metric on one page."""

    def __init__(self, metric: Any, form: Form) -> None:
        self._metric = metric
        self._form = form
        self._class: Any = type(metric)
        self._kind = kind = KINDS[self._class]
        names = metric._labelnames
        before, after = [name for name in names if name < "le"], [name for name in names if name >= "le"]
        self._before, self._after = Labels(names, before.__contains__), Labels(names, after.__contains__)
        self._has_after = bool(after)
        self._has_created = kind.has_created and _uses_created()
        self._is_created_late = self._has_created and not form.is_openmetrics
        lines = [*kind.lines(metric), *([("_created", "")] if self._has_created else [])]
        self._holes = len(lines) * (bool(before) + bool(after))
        self._template = template(metric._name, lines, has_before=bool(before), has_after=bool(after))
        self._head = form.text(metric.describe()[0])
        created = Metric(f"{metric._name}_created", metric._documentation, "gauge")
        self._late_head = form.text(created) if self._is_created_late else ""

    def blocks(self) -> Iterator[str]:
        """Yield the text; of its series the last line, the time of creation, comes late in Prometheus text."""
        yield self._head
        late: list[str] = []
        for labels, child in self._children().items():
            try:
                block = self._block(labels, child)
            except Exception:  # whatever is not as expected
                block, created = self._unusual(labels, child)
                late += [created] if created else []
            else:
                if self._is_created_late:
                    end = block.rindex("\n", 0, -1) + 1
                    late.append(block[end:])
                    block = block[:end]
            yield block
        if late:
            yield self._late_head
            yield from ("".join(late[start : start + _LATE]) for start in range(0, len(late), _LATE))

    def _children(self) -> Mapping[Sequence[str], Any]:
        if not self._metric._labelnames:
            return {(): self._metric}
        with self._metric._lock:
            children: Mapping[Sequence[str], Any] = self._metric._metrics.copy()
        return children

    def _block(self, labels: Sequence[str], child: Any) -> str:
        if (
            child.__class__ is not self._class
            or child._child_samples.__func__ is not self._class._child_samples
        ):
            raise UnusualError
        numbers = self._kind.read(child)
        if self._has_created:
            numbers.append(number(child._created))
        if not self._form.is_openmetrics:
            return self._labelled(self._template % tuple(numbers), labels)
        exemplars = self._kind.exemplars(child)
        if not any(exemplars):
            return self._labelled(self._template % tuple(numbers), labels)
        add_exemplars(numbers, exemplars)
        block = self._template % tuple(numbers)
        if block.count(BEFORE) + block.count(AFTER) != self._holes:  # some are an exemplar's own
            raise UnusualError
        return self._labelled(block, labels)

    def _labelled(self, block: str, labels: Sequence[str]) -> str:
        before = self._before(labels)
        if not self._has_after:
            return block.replace(BEFORE, before)
        if AFTER in before:
            raise UnusualError
        return block.replace(BEFORE, before).replace(AFTER, self._after(labels))

    def _unusual(self, labels: Sequence[str], child: Any) -> tuple[str, str]:
        """Return a series as prometheus-client collects and writes it, the time of creation apart if it comes late."""
        name = self._metric._name
        family = self._metric.describe()[0]
        own = dict(zip(self._metric._labelnames, labels, strict=True))
        for sample in child._samples():
            family.samples.append(sample._replace(name=name + sample.name, labels=own | sample.labels))
        text = self._form.text(family).removeprefix(self._head)
        if not self._is_created_late:
            return text, ""
        first, _, late = text.partition(self._late_head)
        return first, late
