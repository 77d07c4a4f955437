"""Write the settings as keyword arguments, for type checkers and editors: `python scripts/settings_keywords.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from obs_middleware.settings import Settings

KEYWORDS = Path(__file__).parent.parent / "obs_middleware/settings/keywords.py"
_HEAD = '''"""The settings as keyword arguments, so that type checkers and editors know them.

Generated: change fields.py, then call `make settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class Keywords(TypedDict, total=False):
    """One key for each setting (see `Settings`)."""

'''


def module() -> str:
    """Return the text of the module."""
    hints = get_type_hints(Settings, include_extras=True)
    return _HEAD + "".join(f"    {name}: {_spelled(kind)}\n" for name, kind in hints.items())


def _spelled(kind: object) -> str:
    """Return a setting's type as it is written, without its annotations."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if type(None) in get_args(kind):
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        return f"{_spelled(inner)} | None"
    if get_origin(kind) is Literal:
        flag = "bool | " if "true" in get_args(kind) else ""
        return flag + re.sub("'", '"', f"Literal[{', '.join(map(repr, get_args(kind)))}]")
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if get_origin(item) is tuple:  # what is given by route
            return f"Mapping[str, {_spelled(get_args(item)[1])}]"
        is_text = get_origin(item) is Literal or _spelled(item) == "str"
        return "str | tuple[str, ...]" if is_text else f"tuple[{_spelled(item)}, ...]"
    return getattr(kind, "__name__", str(kind))


if __name__ == "__main__":
    KEYWORDS.write_text(module())
