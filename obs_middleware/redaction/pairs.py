"""Values of secret keys in text, in every notation: `key=value`, JSON, XML, argv, headers, forms, tuples, sentences.

A word that may be a secret key is found by the letters that it has (`anchors`). What stands behind it tells whether it
is a key, where its value is, and where that ends (`bounds`); what it looks like tells if it is a secret (`judge`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from obs_middleware.redaction.bounds import (
    LOOK_CHARACTERS,
    VALUE_CHARACTERS,
    Value,
    any_word,
    beginning,
    closing_quote,
    line_end,
    quote_at,
    trailing,
    value_at,
)
from obs_middleware.redaction.judge import judged
from obs_middleware.redaction.keys import Key, Level, SecretKeys
from obs_middleware.redaction.values import is_placeholder, is_sentence, is_status, looks_secret

_KEY_CHARACTERS = 64
_key_characters = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
# What may stand between a key and its value.
_separator = re.compile(
    r"""(?P<close> \\{0,15}["'`] )? (?P<index> \[\w{0,32}\] | \] | \) )?
        \s{0,16} (?P<sign> := | => | ->\s | ={1,3} | [ ]?:(?!:) | :: | ,(?=\s{0,4}\\{0,15}[bBuU]?["']) )
        (?P<gap> [ \t]{0,64} (?: \r?\n[ \t]{1,64}(?![\w.-]+\s*[:=])(?!-\ ) )? (?: \|-?\s*\n\s+ )? )
    """,
    re.VERBOSE,
).match
_annotation = re.compile(
    r"\s?:\s?&?(?:str|bytes|string|String|int|SecretStr|Optional|Union|Final|Annotated|ClassVar|"
    r"Any)\b(?:\[[\w ,.|]{0,64}\])?"
    r"(?:\s\|\sNone)?\s?=\s?"
).match
_attribute = re.compile(
    r"""["']\s[^<>]{0,128}?\bvalue\s?=\s?""", re.IGNORECASE
).match  # <input name="password" value=…
_sibling = re.compile(  # {"name": "Authorization", "value": …}, <Name>x</Name><Value>…, Key=x,Value=…
    r"""\\{0,15}["'`]?\s{0,8}(?:</[\w:]{1,32}>)?\s{0,32}[,;>/]?\s{0,64}(?:"?/?>)?[<{]?\\{0,15}["'`]?
        (?:[A-Za-z]{1,24}[_-]?)?[vV](?:alue|ALUE|al)(?:From)?\\{0,15}["'`]?\s{0,8}(?:=>|[=:>])\s{0,16}
    """,
    re.VERBOSE,
).match
_part = re.compile(
    r"""\\?["']?(?:;[^\r\n\\]{0,256})?(?:(?:\r?\n|\\r\\n|\\n)[\w-]{1,64}:[^\r\n\\]{0,256}){0,4}(?:\r?\n){2}"""
).match
_part_escaped = re.compile(
    r"""\\?["']?(?:;[^\r\n\\]{0,256})?(?:\\r\\n[\w-]{1,64}:[^\r\n\\]{0,256}){0,4}(?:\\r\\n|\\n){2}"""
).match
_input_value = re.compile(r"(?:\.[\w.]{1,64})?\n[ ]{2}[^\n]{0,512}?\binput_value=").match
_element = re.compile(r"(?:\s[^<>]{0,512})?>\s{0,16}(?:<!\[CDATA\[)?").match
_text_of = re.compile(
    r"""(?:["'](?:\s(?![^<>]{0,128}\bvalue\s?=)[^<>]{0,128})?(?<!/)>|</[\w:]{1,32}>\s{0,16}<[\w:]{1,32}>)\s{0,16}(?:<(?:string|value|v)>\s{0,16}){0,2}"""
).match  # <entry key="x">…, <key>x</key><string>…
_input = re.compile(
    r"""["']\s{0,4}[\])][^{}\n]{0,512}?["']input["']\s{0,4}:\s{0,4}"""
).match  # FastAPI's answer 422
_value_before = re.compile(
    r"""["']?[vV]alue["']?\s{0,4}[:=]\s{0,4}["']((?:[^"'\\\n]|\\.){1,512})["']\s{0,4}[,\s]\s{0,8}["']?
        (?:[nN]ame|[kK]ey)["']?\s{0,4}[:=]\s{0,4}["']\Z""",
    re.VERBOSE,
).search
_blank = re.compile(
    r"""(?:[ ](?:number|no\.?|nr\.?|value|string|code|id))?
        (?:[ ][-–|](?=[ ])|
        [ ](?:for|of|by|from)[ ][\w@.-]{1,40}(?:[ ][\w@.-]{1,40})?(?::|[ ]is|[ ]was)|
        (?:[ ](?:is|was|now|set|changed|
        reset|to|as|equals|are|be|with|using|used|the|new|provided|given|this|got|it's|entered|
        from|hash)\b(?:[ ]?[:=])?){0,4})
        [ \t]{1,8}
    """,
    re.VERBOSE,
).match
_argument = re.compile(r"""[ \t]{1,8}(?!-)|\\?["'],?\s{1,8}(?=\\?["'])""").match
_changed_to = re.compile(r" to \S{1,256}").match
_segment = re.compile(r"/([^\s/?#\"'<>]{1,512})").match
_field_end = re.compile(r"\\r\\n|[\r\n]|,\s(?:input_type|[a-z]+=)|\]\s")
_word_of_sentence = re.compile(r"[^\s\"{}]{1,4096}").match
_pair = re.compile(r"[A-Za-z_][A-Za-z_.-]*=.").match


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
    while start > first and text[start - 1] in _key_characters:
        start -= 1
    end, last = hit, min(len(text), hit + _KEY_CHARACTERS)
    while end < last and text[end] in _key_characters:
        end += 1
    while end > hit and text[end - 1] in ".-":
        end -= 1
    while start < hit and text[start] in ".-":
        start += 1
    return start, end


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
        or _of_others(text, start, end, key, before, keys)
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
    if not is_closed and (" " in value or len(value) < 4):
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
    if before in ("'", '"') and found["close"] and sign == "," and (value_before := _before(text, start)):
        return value_before
    at = annotated.end() if annotated is not None else found.end()
    is_key_quoted = bool(found["close"])
    if sign == ",":
        is_argument = before == "-"
        if not is_key_quoted:
            return None
        value = value_at(text, at, key, start, ",", before)
        shown = text[value.start : value.end]
        if is_argument or (looks_secret(shown) and keys[shown].level is Level.NO):
            return value.start, value.end
        return None
    if found["gap"].strip(" \t") and key.level < Level.YES:
        return None
    value = value_at(text, at, key, start, sign, before)
    if found["sign"] == ":" and before in (":", "(", "/") and not found["gap"] and not is_key_quoted:
        word = beginning(text, value.start)
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


def _of_others(
    text: str, start: int, end: int, key: Key, before: str, keys: SecretKeys
) -> tuple[int, int] | None:
    """Return the value of an argument, of a field beside, of a form's part, of a sentence."""
    is_flag = start > 0 and before == "-"
    if is_flag and (found := _argument(text, end)):
        value = value_at(text, found.end(), key, start, " ", before)
        word = text[value.start : value.end]
        if not value.is_quoted and (space := any_word.match(text, value.start)):
            value = Value(value.start, space.end() - len(trailing(space[0])))
            word = text[value.start : value.end]
        is_shown = (
            is_placeholder(word) or (key.level < Level.YES and not looks_secret(word)) or is_status(word)
        )
        return None if is_shown else (value.start, value.end)
    if before == "/" and (found := _segment(text, end)):  # /reset-password/Rk4…
        return found.span(1) if looks_secret(found[1], strict=True) and len(found[1]) >= 16 else None
    if before in ("'", '"') and text[end : end + 1] == before and (found_before := _before(text, start)):
        return found_before
    if (before in ("'", '"') or text[end : end + 2] == "</") and (found := _text_of(text, end)):
        close = text.find("<", found.end(), found.end() + VALUE_CHARACTERS)
        is_shown = close < 0 or text[close : close + 2] != "</" or not text[found.end() : close].strip()
        return None if is_shown or is_placeholder(text[found.end() : close].strip()) else (found.end(), close)
    if key.is_personal and key.level is not Level.YES:
        return None
    for pattern in (_sibling, _attribute, _part, _part_escaped, _input_value, _input):
        if found := pattern(text, end):
            return _beside(text, found.end(), key, start, pattern is _sibling, keys)
    found = _blank(text, end)
    return None if found is None else _of_sentence(text, start, end, found.end(), key)


def _before(text: str, start: int) -> tuple[int, int] | None:
    """Return the value of `{"value": …, "name": "password"}`."""
    begin = max(0, start - LOOK_CHARACTERS)
    found = _value_before(text, begin, start) if text.find("alue", begin, start) >= 0 else None
    return None if found is None or is_placeholder(found[1]) else found.span(1)


def _beside(
    text: str, at: int, key: Key, start: int, is_sibling: bool, keys: SecretKeys
) -> tuple[int, int] | None:
    if is_sibling and text[at - 1 : at] == ">":
        close = text.find("<", at, at + VALUE_CHARACTERS)
        return None if close < 0 or is_placeholder(text[at:close].strip()) else (at, close)
    value = value_at(text, at, key, start, "=", "")
    if not value.is_quoted:
        field = _field_end.search(text, at, min(value.end, at + LOOK_CHARACTERS))
        end = min(value.end, field.start()) if field else value.end
        value = Value(value.start, end, value.is_quoted, value.is_bracketed)
    if value.is_bracketed:
        return None
    return judged(text, value, key, keys, is_prose=False, is_key_quoted=True, is_tight=True)


def _of_sentence(text: str, start: int, end: int, at: int, key: Key) -> tuple[int, int] | None:
    """Return a value that nothing but words parts from its key: `with password hx7Qm2Zp`."""
    words = text[end:at]
    quote = quote_at(text, at)
    is_told = key.level is Level.YES and words.rstrip().endswith((" is", " was", " to", ":", "="))
    if quote is not None and not quote["slashes"]:
        value_end = closing_quote(text, quote.end(), quote["quote"], 0)
        value = text[quote.end() : value_end]
        is_sql = text[start:end].isupper() and quote["quote"] == "'"
        if is_placeholder(value) or not value:
            return None
        if (
            is_sql
            or looks_secret(value, strict=key.level is not Level.YES)
            or (is_told and not is_sentence(value))
        ):
            return quote.end(), value_end
        return None
    found = _word_of_sentence(text, at)
    if found is None or is_placeholder(found[0].rstrip(".,;:")) or _pair(found[0]):
        return None
    value = found[0]
    value = value[: len(value) - len(trailing(value))]
    lead = len(value) - len(value.lstrip("([{<"))
    bare = value[lead:]
    if key.is_number and bare.isdigit() and 4 <= len(bare) <= 10:
        is_code = key.level is Level.YES or " is" in words or key.name.endswith("otp")
        return (at + lead, at + len(value)) if is_code else None
    is_strict = key.level is not Level.YES or words.strip() != ""
    if not looks_secret(bare, strict=is_strict and not is_told):
        return None
    changed = _changed_to(text, at + len(value)) if " from" in words else None
    return at + lead, changed.end() if changed else at + len(value)


Mark = Callable[[str], str]


def without(text: str, found: Iterator[tuple[int, int]], mark: Mark) -> str:
    """Return the text with marks in the places found."""
    parts, copied = [], 0
    for start, end in found:
        parts += [text[copied:start], mark(text[start:end])]
        copied = end
    return "".join([*parts, text[copied:]]) if parts else text
