"""Values that no sign parts from their keys: arguments, fields beside a name, parts of forms, words of sentences."""

from __future__ import annotations

import re

from obs_middleware.redaction.bounds import (
    LOOK_CHARACTERS,
    VALUE_CHARACTERS,
    Value,
    any_word,
    closing_quote,
    quote_at,
    trailing,
    value_at,
)
from obs_middleware.redaction.judge import judged
from obs_middleware.redaction.keys import Key, Level, SecretKeys
from obs_middleware.redaction.values import is_placeholder, is_sentence, is_status, looks_secret

_attribute = re.compile(
    r"""["']\s[^<>]{0,128}?\b(?:value|content)\s?=\s?""", re.IGNORECASE
).match  # <input name="password" value=…
_sibling = re.compile(  # {"name": "Authorization", "value": …}, <Name>x</Name><Value>…, Key=x,Value=…
    r"""\\{0,15}["'`]?\s{0,8}(?:,\s{0,4}["'][A-Za-z]{2,16}["']\s{0,2}:\s{0,2}["'][\w.-]{0,32}["'])?(?:</[\w:]{1,32}>)?\s{0,32}[,;>/]?\s{0,64}(?:"?/?>)?[<{]?\\{0,15}["'`]?
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
_text_of = re.compile(
    r"""(?:["'](?:\s(?![^<>]{0,128}\b(?:value|content)\s?=)[^<>]{0,128})?(?<!/)>|</[\w:]{1,32}>\s{0,16}<[\w:]{1,32}>)\s{0,16}(?:<(?:string|value|v)>\s{0,16}){0,2}"""
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
_name_attribute = re.compile(r"""(?:name|key|id|field|property)\s?=\s?["']\Z""", re.IGNORECASE).search
_segment = re.compile(r"/([^\s/?#\"'<>]{1,512})").match
_field_end = re.compile(r"\\r\\n|[\r\n]|,\s(?:input_type|[a-z]+=)|\]\s")
_word_of_sentence = re.compile(r"[^\s\"{}]{1,4096}").match
_pair = re.compile(r"[A-Za-z_][A-Za-z_.-]*=.").match


def value_beside(
    text: str, start: int, end: int, key: Key, before: str, keys: SecretKeys
) -> tuple[int, int] | None:
    """Return the value of an argument, of a field beside, of a form's part, of a sentence."""
    is_flag = start > 0 and before == "-" and not key.is_personal
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
    if before in ("'", '"') and text[end : end + 1] == before and (found_before := value_before(text, start)):
        return found_before
    is_named = before in ("'", '"') and _name_attribute(text[max(0, start - 16) : start])
    if (is_named or text[end : end + 2] == "</") and (found := _text_of(text, end)):
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


def value_before(text: str, start: int) -> tuple[int, int] | None:
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
