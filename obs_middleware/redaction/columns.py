"""Literals of SQL statements that name a secret column, `INSERT INTO users (password) VALUES ('…')`, and parameters."""

from __future__ import annotations

import re
from collections.abc import Callable

from obs_middleware.redaction.keys import Level, SecretKeys
from obs_middleware.redaction.values import is_placeholder

_statement = re.compile(
    r"\b(?:insert|replace|update|merge|select|delete|call|exec|execute)\b", re.IGNORECASE
).search
_column = re.compile(r"\w{2,64}", re.ASCII)
_literals = re.compile(
    r"\bvalues?\s{0,4}(?=\()|\[parameters: (?=[\[(])|\bparameters: (?=\$\d)|\bparams?[:= ] ?(?=[\[(])|\bargs=(?=\()",
    re.IGNORECASE,
)
_begins_with_literal = re.compile(
    r"[\[(\s]{0,8}(?:(?:\d+|null|true|false|none)\s?,\s?){0,32}[bBuUN]?['\"]", re.IGNORECASE
).match
_literal = re.compile(r"[bBuUrRNE]?'((?:[^'\\\n]|\\.|''){1,2048})'|\"((?:[^\"\\\n]|\\.){1,2048})\"")
_identified = re.compile(
    r"(\bset password for \S{1,128}\s?=\s?(?:password\s?\(\s?)?|\b\w{0,16}crypt\s?\(\s?|"
    r"\bconvertto-securestring\s+(?:-string\s+)?|"
    r"\bidentified\s+(?:with\s+\w{1,40}\s+)?(?:by|as)\s+(?:password\s+)?)(['\"])((?:[^'\"\\\n]|\\.|''){1,512})",
    re.IGNORECASE,
)


def hide_literals(text: str, small: str, keys: SecretKeys, mark: Callable[[str], str]) -> str:
    """Return the text without the literals of statements that name a secret column.

    Args:
        small: the text in small letters.
    """
    if "identified" in small or "set password for" in small or "crypt(" in small or "securestring" in small:
        text = _identified.sub(lambda match: f"{match[1]}{match[2]}{mark(match[3])}", text)
    if "values" not in small and "param" not in small and "args=" not in small:
        return text
    statement = _statement(text)
    found = None
    for place in _literals.finditer(text, statement.end()) if statement else ():
        found = place
        if _begins_with_literal(text, place.end()):
            break
    if not statement or not found:
        return text
    columns = text[statement.end() : found.start()][:4096]
    found_keys = [keys[name[0]] for name in _column.finditer(columns)]
    if not any(
        key.level is Level.YES or (key.level is Level.WORD and not key.is_personal) for key in found_keys
    ):
        return text

    def hidden(match: re.Match[str]) -> str:
        value = match[1] or match[2]
        return match[0] if is_placeholder(value) else match[0].replace(value, mark(value))

    return text[: found.end()] + _literal.sub(hidden, text[found.end() :])
