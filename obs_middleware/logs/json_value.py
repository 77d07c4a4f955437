"""Make any value JSON: no secret, no cycle, no NaN, no size without bound."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any
from uuid import UUID

from obs_middleware.redaction import CHARACTERS, CUT, Redactor

_DEPTH = 8
_ITEMS = 128
_PAIR_FIELDS = 8  # of an object that is a name and its value
_LINE_CHARACTERS = 65_536  # of one line's values, all together
_SAFE_INTEGER = 2**63
_TEXTUAL = (date, time, timedelta, Decimal, UUID, PurePath)
_JSON_TYPES = (str, int, float, dict, list, tuple)
_BYTES = (bytes, bytearray, memoryview)


class JsonValues:
    """Make the values of one line JSON; they share one budget of characters.

    Args:
        default: like `default` of `json.dumps`: it converts a value that is of no JSON type, before we look at it.
    """

    def __init__(self, redactor: Redactor, *, default: Callable[[Any], Any] | None = None) -> None:
        self._redactor = redactor
        self._default = default
        self._characters_left = _LINE_CHARACTERS

    def value(self, value: Any, *, key: str = "", depth: int = _DEPTH) -> Any:
        """Return the value made of str, int, float, bool, None, list and dict with str keys alone."""
        if value is None or value is True or value is False:
            return value
        if key and self._redactor.hides(key, value):
            return self._redactor.mark(value)
        try:
            return self._any(value, depth)
        except Exception:
            return f"<{type(value).__name__} that can't be shown>"

    def text(self, text: str) -> str:
        """Return the text without secrets, cut where it or the line is too long, fit for UTF-8."""
        redacted = self._redactor.text(text, limit=max(0, min(CHARACTERS, self._characters_left)))
        self._characters_left -= len(redacted)
        return redacted

    def _any(self, value: Any, depth: int) -> Any:
        self._characters_left -= 8
        if self._default is not None and not isinstance(value, _JSON_TYPES):
            value = self._converted(value, self._default)
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, (int, float)) and self._redactor.is_secret_number(value):
            return self._redactor.mark(value)
        if isinstance(value, int):
            return int(value) if abs(value) < _SAFE_INTEGER else self.text(hex(value))
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if isinstance(value, _BYTES):
            return self.text(_decoded(value))
        if isinstance(value, _TEXTUAL) or depth == 0 or self._characters_left <= 0:
            return self.text(str(value)) if isinstance(value, _TEXTUAL) else CUT
        if isinstance(value, Mapping):
            return self._mapping(value, depth - 1)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._items(value, depth - 1)
        if isinstance(value, BaseException) and self._redactor.secret_of(value.args) is not None:
            return str(tuple(self._items(value.args, depth)))
        return self.text(str(value))

    def _converted(self, value: Any, default: Callable[[Any], Any]) -> Any:
        if isinstance(value, _BYTES):
            text = _decoded(value)
            if self._redactor.text(text) != text:  # no secret may hide in base 64
                return text
        try:
            return default(value)
        except Exception:  # it may refuse a value, as json_default does
            return value

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        secret = self._redactor.secret_field(value) if len(value) <= _PAIR_FIELDS else None
        for key, inner in islice(value.items(), _ITEMS):
            name = self.text(str(key))
            if secret is None:
                values[name] = self.value(inner, key=name, depth=depth)
            elif key in secret:  # the name, or its value
                values[name] = (
                    self._redactor.mark(inner) if key == secret[1] else self.value(inner, depth=depth)
                )
            else:
                values[name] = self.value(inner, key=name, depth=depth)
        if len(value) > _ITEMS:
            values[CUT] = len(value) - _ITEMS
        return values

    def _items(self, value: Collection[Any], depth: int) -> list[Any]:
        if isinstance(value, (list, tuple)) and (secret := self._redactor.secret_of(value)) is not None:
            return [*(self.value(inner, depth=depth) for inner in value[:-1]), self._redactor.mark(secret)]
        names = getattr(value, "_fields", ()) if isinstance(value, tuple) else ()  # of a namedtuple
        if names:
            named = zip(names, value, strict=False)
            return [self.value(inner, key=str(name), depth=depth) for name, inner in islice(named, _ITEMS)]
        values = [self.value(inner, depth=depth) for inner in islice(value, _ITEMS)]
        return [*values, f"{len(value) - _ITEMS} more {CUT}"] if len(value) > _ITEMS else values


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; where its arguments do not fit, both as they are."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("message", ""))
    try:
        return record.getMessage()
    except Exception:
        return f"{_repr(record.msg)} % {_repr(record.args)}"


def _decoded(value: bytes | bytearray | memoryview) -> str:
    return bytes(value[: CHARACTERS + 1]).decode("utf-8", "backslashreplace")


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} that can't be shown>"
