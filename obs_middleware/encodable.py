"""Texts fit for UTF-8: one lone surrogate would cost a whole page or a whole file."""

from __future__ import annotations


def encodable(text: str) -> str:
    """Return the text with lone surrogates as escapes, `\\ud800` for example."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
