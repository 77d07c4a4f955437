"""Text inside text: percent-encoded, in base64, with HTML's entities, with JSON's escapes; what is changed keeps it."""

from __future__ import annotations

import html
import re
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import quote, unquote

_percent = re.compile(r"[^\s\"'<>`]{0,64}?%(?:3[ADad]|2[23567Ff]|40|7[Bb]|5[Bb])[^\s\"'<>`]{0,4096}")
_has_percent = re.compile(r"%(?:3[ADad]|2[23567Ff]|40|7[Bb]|5[Bb])").search
_entity = re.compile(r"&(?:quot|lt|apos|#34|#39|#x22|#x27|#60|#x3[cC]);")
_escape = re.compile(r"\\{1,4}u00(?:3[dDcCeEaA]|2[267]|40|7[bB])")
_any_escape = re.compile(r"\\{1,4}u00([2-7][0-9a-fA-F])")
_wide_escape = re.compile(r"\\{1,4}u((?!00[0-7]|[dD][89a-fA-F])[0-9a-fA-F]{4})")
# Base64 of `{"`, `{ "`, a line with `{`, `[{"` and `-----BEGIN`.
BASE64_BEGINS = ("eyJ", "eyAi", "ewog", "W3si", "LS0tLS1CRUdJTi")
_base64 = re.compile(rf"(?<![\w+/.-])(?:{'|'.join(BASE64_BEGINS)})[\w+/-]{{16,16000}}={{0,2}}", re.ASCII)
_piece = re.compile(r"%[2-7][0-9A-Fa-f]|.", re.DOTALL)


def hide_base64(text: str, hide: Callable[[str], str], mark: Callable[[str], str]) -> str:
    """Return the text without what is an object of JSON or a private key in base64 and holds a secret."""

    def hidden(match: re.Match[str]) -> str:
        bare = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        plain = b64decode(bare[: len(bare) // 4 * 4]).decode("utf-8", "replace")
        return match[0] if hide(plain) == plain else mark(match[0])

    return _base64.sub(hidden, text)


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
    if "\\u" in text and _wide_escape.search(text):  # JSON in ASCII, of other alphabets
        plain = _wide_escape.sub(lambda match: chr(int(match[1], 16)), text)
        hidden = hide(plain)
        if hidden != plain:
            text = hidden
    return text


def _percent_encoded(text: str, hide: Callable[[str], str], *, depth: int = 3) -> str:
    """Return percent-encoded text without secrets; what stands before and behind them stays as it is."""
    pieces = _piece.findall(text)
    plain = "".join(unquote(piece) if len(piece) > 1 else piece for piece in pieces)
    if depth > 1 and _has_percent(plain):  # encoded twice
        hidden = hide(_percent.sub(lambda match: _percent_encoded(match[0], hide, depth=depth - 1), plain))
    else:
        hidden = hide(plain)
    if hidden == plain:
        return text
    before = _shared(plain, hidden)
    behind = _shared(plain[before:][::-1], hidden[before:][::-1])
    middle = quote(hidden[before : len(hidden) - behind], safe="")
    return "".join([*pieces[:before], middle, *pieces[len(pieces) - behind :]])


def _shared(one: str, other: str) -> int:
    """Return with how many equal characters both texts begin."""
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
