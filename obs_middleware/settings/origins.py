"""Origin: the value of a setting that is in force, and where it comes from."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Source = Literal["keyword", "framework", "environment", "default"]


class Origin(NamedTuple):
    """Where the value of a setting comes from.

    Attributes:
        label: the name under which the user has given it; empty where nobody has.
    """

    name: str
    value: Any
    source: Source
    label: str = ""
