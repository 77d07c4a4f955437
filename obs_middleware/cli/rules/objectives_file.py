"""Objectives from a TOML file: a table `[[objective]]` for each service.

[[objective]]
service = "shop"
availability = 99.9
latency_seconds = 0.25
latency_objective = 99
routes = ["/checkout"]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from obs_middleware.errors import ConfigError


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a service wants, as written.

    Attributes:
        availability: percent of requests that must not fail.
        latency_objective: percent of requests that must take no longer than `latency_seconds`.
        routes: each gets the objectives for itself; none: the service as a whole.
        selector: matchers of its series; `job="<service>"` unless given.
        buckets: the bounds that its durations are counted in.
    """

    service: str
    availability: Decimal | float | int | None = None
    latency_seconds: float | None = None
    latency_objective: Decimal | float | int | None = None
    routes: tuple[str, ...] = ()
    selector: str | None = None
    buckets: tuple[float, ...] | None = None


def read(path: Path) -> Iterator[Entry]:
    """Yield what the services of a file want.

    Raises:
        ConfigError: the file can't be read, or is not as it must be.
    """
    try:
        content = _toml().loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there: give a file of objectives, or --service shop") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as TOML: {error}") from None
    entries = content.get("objective")
    if set(content) != {"objective"} or not isinstance(entries, list) or not entries:
        raise ConfigError(
            f"{path} must have tables [[objective]] and nothing else, got {', '.join(content) or 'nothing'}"
        )
    for number, entry in enumerate(entries, 1):
        try:
            yield msgspec.convert(entry, Entry, strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{path}: [[objective]] number {number}: {error}") from None


def _toml() -> Any:
    """Return what parses TOML: Python has it from 3.11 on."""
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError("a file of objectives needs Python 3.11, or: pip install tomli") from None
