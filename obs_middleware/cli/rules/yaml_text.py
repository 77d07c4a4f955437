"""Plain values as YAML, so that writing rules needs no package; a text of several lines is a block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def yaml_text(value: Any) -> str:
    """Return dicts, lists, texts and numbers as a YAML document."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _entry(f"{name}:", inner)
    else:
        for inner in value:
            first, *rest = _lines(inner) if isinstance(inner, dict) else [_scalar(inner)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _entry(head: str, value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        yield head
        yield from (f"  {line}" for line in _lines(value))
    elif isinstance(value, str) and "\n" in value:
        yield f"{head} |-"
        yield from (f"  {line}" for line in value.splitlines())
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    """Return a text in quotes, because JSON's are YAML's too; a number as it is."""
    return json.dumps(value, ensure_ascii=False)
