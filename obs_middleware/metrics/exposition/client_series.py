"""prometheus-client's counters, gauges and summaries, some dozens of series at a time.

Labels and times of creation are kept as text from page to page, in blocks of neighbouring series. Every page reads the
values. Only what the last page had on it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from prometheus_client import values

from obs_middleware.metrics.exposition.client_metric import ClientMetric, UnusualError
from obs_middleware.metrics.exposition.formats import Format
from obs_middleware.metrics.exposition.text import Labels, add_exemplars, number, numbers

_LONG = 64  # series of a block: a fraction of a slice between two looks at the clock
_HALF = _LONG // 2

_created, _value, _exemplar = map(attrgetter, ("_created", "_value", "_exemplar"))
_code = attrgetter("_child_samples.__func__")


class Block(NamedTuple):
    """What is constant of some neighbouring series.

    Args:
        labels: the values of their labels.
        created: the times of their creation, where the page has them.
        braces: the text of each one's labels, up to the value.
        times: the times as text.
    """

    labels: Sequence[Sequence[str]]
    created: Sequence[float]
    braces: Sequence[str]
    times: Sequence[str]


Blocks = dict[Sequence[str], Block]  # by the labels of their first series

_kept: WeakKeyDictionary[Any, Blocks] = WeakKeyDictionary()  # by metric


class ClientSeries(ClientMetric):
    """One metric on one page; a subclass says which lines a series has."""

    cells: tuple[tuple[str, str], ...]  # a line's suffix, and the attribute of a child that has its value
    has_exemplars = False

    def __init__(self, metric: Any, page_format: Format) -> None:
        super().__init__(metric, page_format)
        self._name = metric._name
        self._labels = Labels(metric._labelnames)
        self._shows_exemplars = self.has_exemplars and page_format.is_openmetrics
        self._cells = {f"\n{self._name}{suffix}": attrgetter(cell) for suffix, cell in self.cells}

    def _texts(self) -> Iterator[tuple[str, str]]:
        children = self._children()
        labels, series = [*children], [*children.values()]
        old, new = _kept.get(self._metric, {}), Blocks()
        end = 0
        while end < len(labels):
            start, end = end, _end(labels, end, old)
            own, some = labels[start:end], series[start:end]
            try:
                block = self._block(own, some, old.get(own[0]))
                text = self._text(block, some)
            except Exception:  # one is not as expected
                yield from self._single(own, some)
            else:
                new[own[0]] = block
                yield text
        _kept[self._metric] = new

    def _single(self, labels: Sequence[Sequence[str]], series: Sequence[Any]) -> Iterator[tuple[str, str]]:
        for own, child in zip(labels, series, strict=True):
            try:
                text = self._text(self._block([own], [child]), [child])
            except Exception:  # this one
                text = self._unusual(own, child)
            yield text

    def _block(
        self, labels: Sequence[Sequence[str]], series: Sequence[Any], kept: Block | None = None
    ) -> Block:
        """Return the block that is kept, if it still is what it would be."""
        created = [*map(_created, series)] if self._has_created else []
        if kept is not None and kept.labels == labels and kept.created == created:
            return kept
        braces = [f"{{{self._labels(own)}}} " if own else " " for own in labels]
        return Block(labels, created, braces, [str(number(time)) for time in created])

    def _text(self, block: Block, series: Sequence[Any]) -> tuple[str, str]:
        """Return the text of series with the values that they have now; all loops over them are in C."""
        if {*map(type, series)} != {self._class} or {*map(_code, series)} != {self._class._child_samples}:
            raise UnusualError
        lines = {name: self._values(map(cell, series)) for name, cell in self._cells.items()}
        times = {f"\n{self._name}_created": block.times} if self._has_created else {}
        if self._is_created_late:
            return _joined(block.braces, lines), _joined(block.braces, times)
        return _joined(block.braces, lines | times), ""

    def _values(self, cells: Iterable[Any]) -> list[str]:
        cells = [*cells]
        if {*map(type, cells)} != {values.MutexValue}:
            raise UnusualError
        texts = numbers(map(_value, cells))
        exemplars: list[Any] = [*map(_exemplar, cells)] if self._shows_exemplars else []
        if any(exemplars):
            add_exemplars(texts, exemplars)
        return texts


class CounterSeries(ClientSeries):
    """One counter on one page."""

    cells = (("_total", "_value"),)
    has_exemplars = True


class GaugeSeries(ClientSeries):
    """One gauge on one page."""

    cells = (("", "_value"),)
    has_created = False


class SummarySeries(ClientSeries):
    """One summary on one page."""

    cells = (("_count", "_count"), ("_sum", "_sum"))


def _joined(braces: Sequence[str], lines: Mapping[str, Sequence[str]]) -> str:
    """Join the lines of some series, of which each has all; a line is a name, braces and a value."""
    step, count = 3 * len(lines), len(braces)
    parts = [""] * (step * count)
    for place, (name, texts) in enumerate(
        lines.items()
    ):  # by columns, because an f-string for each line takes longer
        parts[3 * place :: step] = [name] * count
        parts[3 * place + 1 :: step] = braces
        parts[3 * place + 2 :: step] = texts
    return "".join(parts)[1:] + "\n"


def _end(labels: Sequence[Sequence[str]], start: int, kept: Blocks) -> int:
    """Return where the block ends that begins at a place, so that most blocks stay as series come and go."""
    last = min(start + _LONG, len(labels))
    block = kept.get(labels[start])
    if block is not None:
        end = start + len(block.labels)
        if block.labels == labels[start:end] and (end == len(labels) or end - start >= _HALF):
            return end
    return next((end for end in range(start + _HALF, last) if labels[end] in kept), last)
