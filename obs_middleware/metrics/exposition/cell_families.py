"""Metrics of many workers, as families of prometheus-client's and as the text of our own page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar

from obs_middleware.metrics.exposition.formats import Format
from obs_middleware.metrics.exposition.text import (
    Labels,
    add_exemplars,
    as_in_go,
    need_no_quotes,
    number,
    numbers,
)
from obs_middleware.workers.archive import KEPT, better
from obs_middleware.workers.family import Family
from obs_middleware.workers.merge import Merge
from obs_middleware.workers.service import is_worker, number_of

Line = tuple[str, str, float]  # the suffix of a sample's name, its own label, its value
Exemplars = Mapping[tuple[int, int], Any]  # by series and slot

WORKER = "worker"  # the label of what each worker has for itself
_EXPORTED = "exported_worker"  # the user's own label of that name, as Prometheus would call it
_HOLE = "\0"


def family_blocks(
    family: Family, merge: Merge, page_format: Format, exemplars: Exemplars, *, unit: str
) -> Iterator[str]:
    """Yield the text of a metric, some series at a time."""
    key = family.key
    if not (page_format.has_bare_names and need_no_quotes(key.name, *key.label_names)):
        yield from page_format.parts(metric_of(family, merge, exemplars, unit=unit))
        return
    yield page_format.text(Metric(key.name, family.documentation, key.type, unit))
    if key.type == "gauge":
        yield from _gauge_blocks(family, merge)
    elif key.type == "histogram":
        yield from _histogram_blocks(family, merge, exemplars if page_format.is_openmetrics else {})
    else:
        yield from _plain_blocks(family, merge, exemplars if page_format.is_openmetrics else {})


def metric_of(family: Family, merge: Merge, exemplars: Exemplars, *, unit: str) -> Metric:
    """Return a metric as prometheus-client's."""
    key = family.key
    metric = Metric(key.name, family.documentation, key.type, unit)
    if key.type == "gauge":
        for block in family.blocks:
            for worker, own_labels, value in _gauge_values(family, merge, block):
                labels = dict(zip(key.label_names, own_labels, strict=True))
                metric.add_sample(key.name, labels if worker is None else of_worker(labels, worker), value)
        return metric
    for number_, values in _series(family, merge):
        labels = dict(zip(key.label_names, family.labels[number_], strict=True))
        for suffix, le, value, slot in _samples(family, values):
            found = exemplars.get((number_, slot)) if slot is not None else None
            exemplar = None if found is None else Exemplar(*found)
            metric.add_sample(
                key.name + suffix, labels if le is None else labels | {"le": le}, value, None, exemplar
            )
    return metric


def of_worker(labels: Mapping[str, str], worker: str) -> dict[str, str]:
    """Return labels with that of the worker; no label may be there twice."""
    return {**{_beside_worker(name): value for name, value in labels.items()}, WORKER: worker}


def _beside_worker(name: str) -> str:
    return _EXPORTED if name == WORKER else name


def _series(family: Family, merge: Merge) -> Iterator[tuple[int, Sequence[float]]]:
    width = len(family.slots)
    for block in family.blocks:
        found, values = family.sums(merge.readers.values(), block)
        for place, number_ in enumerate(found):
            yield number_, values[place * width : (place + 1) * width]


def _samples(family: Family, values: Sequence[float]) -> Iterator[tuple[str, str | None, float, int | None]]:
    """Yield the suffix, `le`, value and slot of each sample of a series."""
    if family.key.type != "histogram":
        for slot, ((suffix, le), value) in enumerate(zip(family.slots, values, strict=True)):
            yield suffix, le, value, slot
        return
    buckets, total = _bucket_slots(family)
    count = 0.0
    for slot in buckets:
        count += values[slot]
        yield "_bucket", family.slots[slot][1], count, slot
    yield "_count", None, count, None
    if total is not None:
        yield "_sum", None, values[total], None


def _bucket_slots(family: Family) -> tuple[list[int], int | None]:
    """Return the slots of the buckets, by their bounds, and the slot of the sum, if it is shown."""
    buckets = sorted(
        (slot for slot, (_, le) in enumerate(family.slots) if le is not None),
        key=lambda slot: float(str(family.slots[slot][1])),
    )
    has_sum = bool(buckets) and float(str(family.slots[buckets[0]][1])) >= 0
    sums = [slot for slot, (_, le) in enumerate(family.slots) if le is None]
    return buckets, sums[0] if sums and has_sum else None


def _plain_blocks(family: Family, merge: Merge, exemplars: Exemplars) -> Iterator[str]:
    """Yield counters and summaries: a line for each slot."""
    name, width = family.key.name, len(family.slots)
    names = [f"\n{name}{suffix}" for suffix, _ in family.slots]
    texts = _texts(family)
    for block in family.blocks:
        found, values = family.sums(merge.readers.values(), block)
        if not found:
            continue
        own = texts(found)
        lines = (
            [line for text in own for line in [start + text for start in names]]
            if width > 1
            else [names[0] + text for text in own]
        )
        spelled = numbers(values)
        if exemplars:
            keys = [(number_, slot) for number_ in found for slot in range(width)]
            add_exemplars(spelled, map(exemplars.get, keys))
        yield "".join(map(str.__add__, lines, spelled))[1:] + "\n"


def _texts(family: Family) -> Any:
    """Return a function that returns the labels of some series as text, up to the value."""
    spell = Labels(family.key.label_names)
    kept = family.texts

    def texts(found: Sequence[int]) -> list[str]:
        for labels in family.labels[len(kept) :]:
            kept.append(f"{{{spell(labels)}}} " if labels else " ")
        return [kept[number_] for number_ in found]

    return texts


def _histogram_blocks(family: Family, merge: Merge, exemplars: Exemplars) -> Iterator[str]:
    name = family.key.name
    buckets, total = _bucket_slots(family)
    if not buckets:
        return
    of_buckets = itemgetter(*buckets) if len(buckets) > 1 else lambda values: (values[buckets[0]],)
    comma = "," if family.key.label_names else ""
    template = "".join(
        f'{name}_bucket{{{_HOLE}{comma}le="{family.slots[slot][1]}"}} %s\n' for slot in buckets
    )
    braces = f"{{{_HOLE}}}" if family.key.label_names else ""
    template += f"{name}_count{braces} %s\n" + (f"{name}_sum{braces} %s\n" if total is not None else "")
    spell, kept = Labels(family.key.label_names), family.texts
    width = len(family.slots)
    for block in family.blocks:
        found, values = family.sums(merge.readers.values(), block)
        for labels in family.labels[len(kept) :]:
            kept.append(spell(labels) if labels else "")
        texts = []
        for place, number_ in enumerate(found):
            own = values[place * width : (place + 1) * width]
            counts: list[Any] = [*accumulate(of_buckets(own))]
            if not counts[-1] < 1e6:
                counts = [*map(number, counts)]
            counts.append(counts[-1])
            if total is not None:
                counts.append(number(own[total]))
            if exemplars:
                add_exemplars(counts, [exemplars.get((number_, slot)) for slot in buckets])
            texts.append((template % tuple(counts)).replace(_HOLE, kept[number_]))
        yield "".join(texts)


def _gauge_blocks(family: Family, merge: Merge) -> Iterator[str]:
    name, names = family.key.name, family.key.label_names
    spell, spell_worker = Labels(names), Labels((*map(_beside_worker, names), WORKER))
    for block in family.blocks:
        lines = []
        for worker, labels, value in _gauge_values(family, merge, block):
            text = spell(labels) if worker is None else spell_worker((*labels, worker))
            lines.append(f"{name}{{{text}}} {as_in_go(value)}\n" if text else f"{name} {as_in_go(value)}\n")
        yield "".join(lines)


def _gauge_values(
    family: Family, merge: Merge, block: range
) -> Iterator[tuple[str | None, tuple[str, ...], float]]:
    """Yield the worker, where each has a series of its own, the labels and the value of each series."""
    mode = family.key.mode
    if mode in ("all", "liveall", ""):
        living = [
            reader for reader in merge.readers.values() if is_worker(reader.name) and not reader.is_dead
        ]
        for reader, number_, value, _ in family.each(living, block):
            yield str(number_of(reader.name)), family.labels[number_], value
        return
    readers = [reader for reader in merge.readers.values() if mode in KEPT or not reader.is_dead]
    best: dict[int, tuple[float, float]] = {}
    for _, number_, value, dated in family.each(readers, block):
        before = best.get(number_)
        if mode.endswith("sum"):
            best[number_] = value + (before[0] if before else 0.0), 0.0
        else:
            best[number_] = better(mode, before, (value, dated))
    for number_, (value, _) in best.items():
        yield None, family.labels[number_], value
