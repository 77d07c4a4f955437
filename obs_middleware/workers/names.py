"""How a metric, its series and their numbers are named in the files that workers share."""

from __future__ import annotations

from typing import NamedTuple

Slot = tuple[
    str, "str | None"
]  # of a number of a series: the suffix of a sample's name, and `le` where it is a bucket
Labels = tuple[str, ...]  # values


class Key(NamedTuple):
    """What makes a metric of two members one."""

    name: str
    type: str
    label_names: Labels
    mode: str
