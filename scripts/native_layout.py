"""Write native/layout.h: the fields of the classes that are marked `@share_layout`, in their order.

python scripts/native_layout.py [--check]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).parents[1]
FILE = ROOT / "native" / "layout.h"
_PACKAGE = "obs_middleware"
_WIDTH = 110
_HIDDEN = ("__dict__", "__weakref__")

_HEAD = """\
/* Made by scripts/native_layout.py (`make layout`): the classes marked `@share_layout`, and their fields in order.
   CLASS(name, first field, last field), then FIELD(name, field) for each. */

#ifndef OBS_LAYOUT_H
#define OBS_LAYOUT_H

#define LAYOUT(CLASS, FIELD)"""


def layout() -> str:
    """Return the header as it has to be now."""
    lines = [_HEAD]
    for cls in _classes():
        name, fields = cls.__name__, _fields(cls)
        lines.append(f"    CLASS({name}, {fields[0]}, {fields[-1]})")
        lines += wrap(
            " ".join(f"FIELD({name},\N{NO-BREAK SPACE}{field})" for field in fields),
            width=_WIDTH,
            initial_indent="        ",
            subsequent_indent="        ",
            break_on_hyphens=False,
        )
    return " \\\n".join(lines).replace(",\N{NO-BREAK SPACE}", ", ") + "\n\n#endif\n"


def _classes() -> list[type]:
    for path in sorted((ROOT / _PACKAGE).rglob("*.py")):
        if "@share_layout\n" in path.read_text("utf-8"):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    from obs_middleware._speedups import shared_classes

    return sorted(shared_classes, key=lambda cls: cls.__name__)


def _fields(cls: type) -> list[str]:
    names = getattr(cls, "__struct_fields__", None) or vars(cls)["__slots__"]
    return [name for name in names if name not in _HIDDEN]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    text = layout()
    if "--check" not in sys.argv:
        FILE.write_text(text, "utf-8")
    elif FILE.read_text("utf-8") != text:
        sys.exit(f"{FILE} is stale: run {sys.argv[0]}, then build")
