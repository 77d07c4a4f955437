"""Write the table of settings in docs/settings.md from the code: `python scripts/settings_table.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from msgspec import Meta

from obs_middleware import Settings

PAGE = Path(__file__).parent.parent / "docs/settings.md"


def table() -> str:
    """Return the table, one row for each setting."""
    defaults = Settings()
    lines = ["| setting | default | wants | what it is |", "|---|---|---|---|"]
    for name, kind in get_type_hints(Settings, include_extras=True).items():
        metas = [meta for part in (kind, *_parts(kind)) for meta in get_args(part) if isinstance(meta, Meta)]
        wants = next(meta.extra["wants"] for meta in metas if meta.extra)
        about = next(meta.description for meta in metas if meta.description)
        lines.append(f"| `{name}` | {_spelled(getattr(defaults, name))} | {wants} | {about} |")
    return "\n".join(lines)


def in_page(text: str) -> str:
    """Return the page with the table between its markers."""
    block = f"<!-- settings:begin -->\n{table()}\n<!-- settings:end -->"
    return re.sub("<!-- settings:begin -->.*<!-- settings:end -->", lambda _: block, text, flags=re.DOTALL)


def _parts(kind: object) -> list[object]:
    found = [part for part in get_args(kind) if get_args(part)]
    return found + [inner for part in found for inner in _parts(part)]


def _spelled(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(part if isinstance(part, str) else f'{part:g}' for part in value)}`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(in_page(PAGE.read_text()))
