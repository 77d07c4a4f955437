"""Whether the value of a key is a secret: the key says how sure it is, the value what it looks like."""

from __future__ import annotations

import re

from obs_middleware.redaction.bounds import BRACKETED, LOOK_CHARACTERS, Value, beginning, scheme_at
from obs_middleware.redaction.keys import Key, Level, SecretKeys
from obs_middleware.redaction.languages import is_word_of_another_alphabet
from obs_middleware.redaction.values import is_code, is_placeholder, is_sentence, is_status, looks_secret

_inner_word = re.compile(r"[^\s\"',:\[\]{}()]+")
_is_version = re.compile(
    r"v?\d+(?:\.\d+){1,3}(?:[-+.~]?[a-z]+[.-]?\d*)*|(?:amd64|arm64|armhf|armel|i386|all|any|native|"
    r"x86_64|aarch64|ppc64el|s390x)"
).fullmatch
_has_character = re.compile(r"\w").search
_is_attribute = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)+").fullmatch
_slot = re.compile(r"<[A-Za-z][\w -]{0,64}>").match
_is_hex = re.compile(r"0x[0-9a-fA-F]{1,16}").fullmatch


def judged(
    text: str,
    value: Value,
    key: Key,
    keys: SecretKeys,
    *,
    is_prose: bool,
    is_key_quoted: bool,
    is_tight: bool,
    is_in_words: bool = False,
) -> tuple[int, int] | None:
    """Return the value's place if it is a secret."""
    shown = text[value.start : min(value.end, value.start + LOOK_CHARACTERS)].strip()
    if not shown or is_placeholder(shown) or not _has_character(shown):
        return None
    if len(shown) < 3 and not value.is_bracketed:
        return None  # as of HTML's accesskey
    first = shown.split(None, 1)[0].rstrip(",;)")
    raw = beginning(text, value.start)
    if not value.is_quoted and (is_placeholder(first) or (raw and is_placeholder(raw[0].rstrip(",;\"'")))):
        return None
    if not value.is_quoted and first[0] == "<" and _is_slot(text[value.start : value.start + 80]):
        return None
    if value.is_bracketed:
        return (value.start, value.end) if _is_secret_in_brackets(shown, key) else None
    if not key.is_personal and _is_version(first):
        return None
    if not value.is_quoted and (is_code(shown) or (_is_attribute(first) and keys[first].level >= Level.WORD)):
        return None
    if shown in ("{", "[", "(", "|", ">", ">-", "|-") or (
        not value.is_quoted
        and (first.isalpha() or key.name.endswith(keys[first].name))
        and keys[first].level >= Level.WORD
        and len(shown.split()) == 1
    ):
        return None
    is_sure = key.level is Level.YES or (key.level is Level.WORD and is_key_quoted and value.is_quoted)
    if key.is_personal:
        return (value.start, value.end) if _is_personal(shown, key, is_sure=key.level is Level.YES) else None
    if is_sure:
        is_number = shown.isdigit()
        if is_number and key.level is Level.WORD and not (key.is_number and len(shown) >= 4):
            return None
        if is_number and len(shown) < 3 and not value.is_quoted:
            return None
        if key.name.endswith("id") and _is_hex(shown):
            return None  # ZooKeeper's sessions, and addresses of objects
        if (
            is_prose
            and is_in_words
            and not (looks_secret(first) or looks_secret(shown) or (key.is_number and is_number))
        ):
            return None
        if is_prose and not key.name.isascii() and is_word_of_another_alphabet(first):
            return None
        is_shown = (
            is_sentence(shown)
            if (is_prose or " " in shown) and not (is_tight and not is_status(first))
            else is_status(shown)
        )
        return None if is_shown else (value.start, value.end)
    if key.is_number and shown.isdigit():
        return (value.start, value.end) if 4 <= len(shown) <= 8 else None
    if key.has_blanks and " " in shown:
        scheme = scheme_at(shown)
        candidate = shown[scheme.end() :].split()[0] if scheme and scheme.end() < len(shown) else first
        joined = (
            "".join(shown.split()[:2]) if first.isalnum() and not (first.isalpha() or first.isdigit()) else ""
        )
        if (
            looks_secret(joined)
            or looks_secret(candidate)
            or looks_secret(first)
            or (key.name.endswith(("cookie", "cookies")) and "=" in first)
            or (_is_login(key) and any(looks_secret(word, strict=True) for word in shown.split()[:4]))
        ):
            return value.start, value.end
        return None
    return (
        (value.start, value.end)
        if looks_secret(shown) or (key.name.endswith("cookie") and "=" in shown)
        else None
    )


def _is_login(key: Key) -> bool:
    """Tell whether a name may stand before the secret, as in `credentials: jane / …`."""
    return key.name.endswith(("credentials", "credential", "creds", "cred"))


def _is_slot(value: str) -> bool:
    """Tell whether the value is a place to fill in: `<your password here>`."""
    slot = _slot(value)
    return slot is not None and is_placeholder(slot[0])


def _is_secret_in_brackets(value: str, key: Key) -> bool:
    """Tell whether a list or an object is the value of a secret key."""
    inner = value[1:-1].strip()
    if not inner or inner == "..." or is_placeholder(inner.strip("'\" ")) or inner.replace(".", "").isdigit():
        return False
    if any(looks_secret(word) for word in _inner_word.findall(inner[:BRACKETED])):
        return not key.is_personal
    return key.level is Level.YES and (value[0] == "{" or not is_sentence(inner))


def _is_personal(value: str, key: Key, *, is_sure: bool) -> bool:
    """Tell whether the value of a key of personal data is one."""
    value = value.strip("\"' ")
    if not value or is_status(value) or (is_sentence(value) and not value.istitle()):
        return False
    digits = sum(char.isdigit() for char in value)
    if is_sure:
        return True
    if key.name.endswith("name"):
        words = value.split()
        return (
            key.name == "name"
            and 2 <= len(words) <= 3
            and all(word.isalpha() and word.istitle() for word in words)
        )
    if key.name == "address":
        return bool(re.match(r"\d{1,5}[a-z]?,? [A-Z][a-z]+|[A-Z][\w. ]+ \d{1,4}\b(?!:)", value))
    if key.name.endswith("email"):
        return "@" in value
    if key.name in ("zip", "postcode", "lat", "lng", "mobile", "tel", "phone", "telephone"):
        return digits >= 7 and "." not in value
    return digits >= 7
