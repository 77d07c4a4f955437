"""Checks of what exporters are made of: a ConfigError says what was wanted and what was got, but for secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from obs_middleware.errors import ConfigError
from obs_middleware.label_names import is_label_name
from obs_middleware.settings.otel import is_url


def exporter(value: Any) -> None:
    """Raise unless it is an exporter: with `export`, an interval, and a name if it has one."""
    if isinstance(value, type):
        raise ConfigError(
            f"exporters.add wants an exporter, got the class {value.__name__}: {value.__name__}(…)"
        )
    if not callable(getattr(value, "export", None)):
        raise ConfigError(
            f"exporters.add wants exporters such as Textfile('/srv/textfiles/shop.prom'), got {value!r}"
        )
    name = getattr(value, "name", type(value).__name__)
    text("the name of an exporter", name)
    seconds(f"{name}: interval_seconds", getattr(value, "interval_seconds", None))


def seconds(what: str, value: Any) -> float:
    """Return a positive number of seconds."""
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ConfigError(f"{what} must be a positive number of seconds, got {value!r}")
    return value


def text(what: str, value: Any, *, example: str = "") -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        such_as = f" such as {example!r}" if example else ""
        raise ConfigError(f"{what} must be a text{such_as}, got {value!r}")
    return value


def url(what: str, value: Any, *, example: str) -> str:
    """Return a URL of http or https; what may be a password is not shown."""
    if not isinstance(value, str) or not is_url(value):
        got = "one with @" if "@" in str(value) else repr(value)
        raise ConfigError(f"{what} wants a URL such as {example!r}, got {got}")
    return value


def labels(what: str, value: Any) -> dict[str, str]:
    """Return labels of a series, whose values may have been numbers."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be a mapping such as {{'zone': 'a'}}, got {value!r}")
    for name, one in value.items():
        if not is_label_name(name):
            raise ConfigError(f"{what} has {name!r}, which is no name of a label: call it {_label(name)!r}")
        if not isinstance(one, (str, int, float)):
            raise ConfigError(f"{what} must be a mapping of texts, got {one!r} as {name!r}")
    return {name: str(one) for name, one in value.items()}


def _label(name: object) -> str:
    found = re.sub(r"\W", "_", str(name), flags=re.ASCII).lstrip("_")
    return found if is_label_name(found) else f"_{found}"


def headers(what: str, value: Any) -> dict[str, str]:
    """Return headers, whose values are secrets."""
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{what} must be a mapping such as {{'x-key': 'abc'}}, got a value of type {type(value).__name__}"
        )
    for one in (*value, *value.values()):
        if not isinstance(one, str):
            raise ConfigError(f"{what} must be a mapping of texts, got a value of type {type(one).__name__}")
    return dict(value)


def pair(what: str, value: Any) -> tuple[str, str]:
    """Return user and password."""
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    if not is_pair or not all(isinstance(one, str) for one in value):
        raise ConfigError(
            f"{what} must be a pair ('user', 'password'), got a value of type {type(value).__name__}"
        )
    return value[0], value[1]
