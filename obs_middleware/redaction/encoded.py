"""Text inside text: percent-encoded, with HTML's entities, with JSON's escapes; what is changed keeps its form."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

_percent = re.compile(r"[^\s\"'<>`]{0,64}?%(?:3[ADad]|2[23567Ff]|40|7[Bb]|5[Bb])[^\s\"'<>`]{0,4096}")
_has_percent = re.compile(r"%(?:3[ADad]|2[23567Ff]|40|7[Bb]|5[Bb])").search
_entity = re.compile(r"&(?:quot|lt|apos|#34|#39|#x22|#x27|#60|#x3[cC]);")
_escape = re.compile(r"\\{1,4}u00(?:3[dDcCeEaA]|2[267]|40|7[bB])")
_any_escape = re.compile(r"\\{1,4}u00([2-7][0-9a-fA-F])")
_decoded = re.compile(r"%(?:[2-7][0-9A-Fa-f])")


def hide_encoded(text: str, hide: Callable[[str], str]) -> str:
    """Return the text without the secrets of what is encoded in it.

    Args:
        hide: returns a text without secrets.
    """
    if "%" in text and _has_percent(text):
        text = _percent.sub(lambda match: _percent_encoded(match[0], hide), text)
    if "&" in text and _entity.search(text):
        plain = html.unescape(text)
        hidden = hide(plain)
        if hidden != plain:
            text = html.escape(hidden)
    if "\\u00" in text and _escape.search(text):
        plain = _any_escape.sub(lambda match: chr(int(match[1], 16)), text)
        hidden = hide(plain)
        if hidden != plain:
            text = hidden
    return text


def _percent_encoded(text: str, hide: Callable[[str], str]) -> str:
    plain = _decoded.sub(lambda match: unquote(match[0]), text)
    if "%25" in text or "%3" in plain or "%2" in plain:
        plain = _decoded.sub(lambda match: unquote(match[0]), plain)
    hidden = hide(plain)
    if hidden == plain:
        return text
    begin = next((index for index, (a, b) in enumerate(zip(text, hidden, strict=False)) if a != b), 0)
    safe = "".join(sorted({char for char in text if not char.isalnum() and char != "%"}))
    return text[:begin] + quote(hidden[begin:], safe=safe)
