"""Values of secret keys in text, in every notation: `key=value`, JSON, XML, argv, headers, forms, tuples, sentences.

A word that may be a secret key is found by the letters that it has (`anchors`). What stands behind it tells whether it
is a key, where its value is, and where that ends (`bounds`); what it looks like tells if it is a secret (`judge`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from unicodedata import category

from obs_middleware.redaction.beside import value_before, value_beside
from obs_middleware.redaction.bounds import (
    VALUE_CHARACTERS,
    beginning,
    line_end,
    value_at,
)
from obs_middleware.redaction.judge import judged
from obs_middleware.redaction.keys import Key, Level, SecretKeys
from obs_middleware.redaction.values import is_placeholder, is_status, looks_secret

_KEY_CHARACTERS = 64
_key_characters = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
# What may stand between a key and its value.
_separator = re.compile(
    r"""(?P<close> \\{0,15}["'`] )? (?P<index> \[\w{0,32}\] | \] | \) | [ ]\#?\d{1,2}(?=[ ]?[:=]) | \*\*(?=:) )?
        \s{0,16} (?P<sign> := | => | ->\s | ={1,3} | [ ]?:(?!:) | :: | [::] | [==] | ;s:\d{1,6}:
            | ,(?=\s{0,4}\\{0,15}[bBuU]?["']) )
        (?P<gap> [ \t]{0,64} (?: \r?\n[ \t]{1,64}(?![\w.-]+\s*[:=])(?!-\ ) )? (?: [|>][-+]?\d?\s*\n\s+ )?
            (?: string\(\d{1,6}\)\s )? (?: \*\*[ ] )? )
    """,
    re.VERBOSE,
).match
_annotation = re.compile(
    r"\s?:\s?&?(?:str|bytes|string|String|int|SecretStr|Optional|Union|Final|Annotated|ClassVar|"
    r"Any)\b(?:\[[\w ,.|]{0,64}\])?"
    r"(?:\s\|\sNone)?\s?=\s?"
).match
_element = re.compile(r"(?:\s[^<>]{0,512})?>\s{0,16}(?:<!\[CDATA\[)?").match


def spans(text: str, hits: Iterator[int], keys: SecretKeys) -> Iterator[tuple[int, int]]:
    """Yield where the values of secret keys begin and end, in order.

    Args:
        hits: positions in words that may be secret keys, in order.
    """
    seen = copied = 0
    for hit in hits:
        if hit < seen:
            continue
        start, end = _around(text, hit)
        found = _span(text, start, end, keys)
        if found is not None and found[1] > found[0] >= copied:
            yield found
            copied = found[1]
        seen = end
        if found is not None:
            seen = max(seen, found[1])


def _around(text: str, hit: int) -> tuple[int, int]:
    """Return where the key around a position begins and ends."""
    start, first = hit, max(0, hit - _KEY_CHARACTERS)
    while start > first and _is_of_key(text[start - 1]):
        start -= 1
    end, last = hit, min(len(text), hit + _KEY_CHARACTERS)
    while end < last and _is_of_key(text[end]):
        end += 1
    while end > hit and text[end - 1] in ".-":
        end -= 1
    while start < hit and text[start] in ".-":
        start += 1
    return start, end


def _is_of_key(char: str) -> bool:
    """Tell whether a character may stand in a key; keys of other alphabets have combining marks."""
    return char in _key_characters or (char > "\x7f" and (char.isalnum() or category(char)[0] == "M"))


def _span(text: str, start: int, end: int, keys: SecretKeys) -> tuple[int, int] | None:
    """Return what is to be hidden behind the word, if it is a secret key."""
    name = text[start:end]
    if len(name) > 4 and name[0] == "u" and name[:5] in ("u0022", "u0027"):
        name = name[5:]
    key = keys[name]
    before = text[start - 1] if start else ""
    if key.level < Level.YES:
        key = _in_words(text, start, key, name, keys)
    if key.level is Level.NO:
        if (
            name in ("code", "state", "sig", "key")
            and text[end : end + 1] == "="
            and ((before and before in "?&") or (name == "code" and _is_long_secret(text, end + 1)))
        ):
            key = Key(Level.WORD, name)
        else:
            return None
    return (
        _of_element(text, start, end, key, before)
        or _of_separator(text, start, end, key, before, keys)
        or value_beside(text, start, end, key, before, keys)
    )


_LAST_WORDS = frozenset(
    [
        "key",
        "keys",
        "code",
        "codes",
        "token",
        "tokens",
        "id",
        "number",
        "name",
        "phone",
        "address",
        "date",
        "birth",
        "secret",
        "password",
        "phrase",
        "word",
        "cookie",
        "pin",
        "passe",
        "sandi",
        "secreta",
        "segreta",
        "string",
        "khẩu",
        "المرور",
        "السر",
    ]
)


def _is_long_secret(text: str, at: int) -> bool:
    found = beginning(text, at)
    return found is not None and len(found[0]) >= 16 and looks_secret(found[0], strict=True)


def _in_words(text: str, start: int, key: Key, name: str, keys: SecretKeys) -> Key:
    """Return the key of words with blanks between: `API key`, `one-time code`, `date of birth`."""
    if start < 2 or text[start - 1] != " " or name.lower() not in _LAST_WORDS:
        return key
    before = text[max(0, start - 40) : start - 1]
    words = before.replace("\n", " | ").split(" ")[-2:]
    for count in (1, 2):
        joined = " ".join(words[-count:])
        if joined and joined.replace(" ", "").replace("-", "").isalnum():
            longer = keys[f"{joined} {name}"]
            if longer.level > key.level or (longer.level is Level.YES and key.level is Level.WORD):
                return longer
    return key


def _of_element(text: str, start: int, end: int, key: Key, before: str) -> tuple[int, int] | None:
    """Return the text of an XML element with the key's name."""
    if before not in ("<", ":") or (before == ":" and "<" not in text[max(0, start - 24) : start]):
        return None
    opened = _element(text, end)
    if opened is None or opened[0].endswith("/>") or (key.is_personal and key.level is not Level.YES):
        return None
    close = text.find("<", opened.end(), opened.end() + VALUE_CHARACTERS)
    if "CDATA" in opened[0]:
        close = text.find("]]>", opened.end(), opened.end() + VALUE_CHARACTERS)
    is_closed = close >= 0 and text[close : close + 2] in ("</", "]]")
    close = line_end(text, opened.end()) if close < 0 else close
    value = text[opened.end() : close].strip()
    if not is_closed and not looks_secret(value):
        return None
    return None if not value or is_placeholder(value) or is_status(value) else (opened.end(), close)


def _of_separator(
    text: str, start: int, end: int, key: Key, before: str, keys: SecretKeys
) -> tuple[int, int] | None:
    """Return the value behind a sign such as `=`, `: ` or `=>`."""
    annotated = (
        _annotation(text, end) if text[end : end + 2].strip() == ":" or text[end : end + 1] == ":" else None
    )
    found = _separator(text, end)
    if found is None:
        return None
    sign = found["sign"].strip()
    if (
        before in ("'", '"')
        and found["close"]
        and sign == ","
        and (found_before := value_before(text, start))
    ):
        return found_before
    at = annotated.end() if annotated is not None else found.end()
    is_key_quoted = bool(found["close"])
    if sign == ",":
        is_argument = before == "-"
        if not is_key_quoted:
            return None
        value = value_at(text, at, key, start, ",", before)
        shown = text[value.start : value.end]
        is_cookie = key.name.endswith(("cookie", "cookies")) and "=" in shown
        if is_argument or is_cookie or (looks_secret(shown) and keys[shown].level is Level.NO):
            return value.start, value.end
        return None
    if found["gap"].strip(" \t") and key.level < Level.YES:
        return None
    value = value_at(text, at, key, start, sign, before)
    if found["sign"] == ":" and before in (":", "(", "/") and not found["gap"] and not is_key_quoted:
        word = beginning(text, value.start)
        is_long = (
            before == "/" and word is not None and len(word[0]) >= 20 and looks_secret(word[0], strict=True)
        )
        if is_long:
            return value.start, value.end  # jane@example.org/token:…
        if key.level is not Level.YES or word is None or word[0].strip("):,;").replace("_", "").isalpha():
            return None  # arn:aws:secretsmanager:…:secret:db, pam_unix(passwd:auth)
    if key.name == "pwd" and text[value.start : value.start + 1] in ("/", "~"):
        return None  # the working directory
    if before == "/" and sign == ":" and found["gap"]:
        key = key._replace(level=Level.WORD)  # /etc/passwd: …
    is_prose = sign == ":" and not is_key_quoted and found["gap"] != ""
    return judged(
        text,
        value,
        key,
        keys,
        is_prose=is_prose,
        is_key_quoted=is_key_quoted,
        is_tight=found["gap"] == "" and sign != ":",
        is_in_words=keys[text[start:end]].level is not Level.YES and key.level is Level.YES,
    )


Mark = Callable[[str], str]


def without(text: str, found: Iterator[tuple[int, int]], mark: Mark) -> str:
    """Return the text with marks in the places found."""
    parts, copied = [], 0
    for start, end in found:
        parts += [text[copied:start], mark(text[start:end])]
        copied = end
    return "".join([*parts, text[copied:]]) if parts else text
