"""What secrets look like in text: values of secret keys, credentials by their form, personal data.

No pattern looks twice at a stretch of any length, so that the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from obs_middleware.redaction.keys import WITH_BLANKS, SecretKeys, squeeze

REDACTED = "REDACTED"

# Words, slashes and short numbers, as in most paths: no pattern below can match there.
has_no_secret = re.compile(r"[A-Za-z_/]*(?:[0-9-]{1,12}[A-Za-z_/]+)*[0-9-]{0,12}").fullmatch

_KEY = re.compile(r"""(?<![\w.-])([\w.-]+)\\{0,8}["']?\s{0,16}[=:]\s{0,16}""")
_VALUE = re.compile(
    r"""(?P<escaped> \\{1,8}["'] ) [^\n"']*? (?= \\{0,8}["'\n] | \Z )  # of JSON inside JSON
      | (?P<double> [bBrRuU]{0,2}" ) (?: [^"\\\n] | \\. )*
      | (?P<single> [bBrRuU]{0,2}' ) (?: [^'\\\n] | \\. )*
      | [^\s"'\\&,;<>(){}\[\]]+
    """,
    re.VERBOSE,
)
_REST_OF_LINE = re.compile(r"[^\r\n]+")
_NEXT_WORD = re.compile(r"(?:apikey|basic|bearer|digest|token) +[^\s\"']+", re.IGNORECASE)
_BRACKET = re.compile(r"[\[\](){}]")
_BRACKETED = 512
_SCHEME = re.compile(r"\b(?P<scheme>(?:bearer|basic) +)(?P<word>[a-z0-9._~+/=-]{6,})", re.IGNORECASE)
_JWT = re.compile(r"(?<![\w-])ey[jJ][\w-]{5,}\.[\w-]{4,}\.[\w-]*", re.ASCII)
_USERINFO = re.compile(r"://[^\s/?#]{1,512}@")
_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+")
_GROUP = re.compile(r"\d+", re.ASCII)
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,47}(?!\.?\d)", re.ASCII)


def hide(text: str, keys: SecretKeys, *, pii: bool) -> str:
    """Return the text without its secrets.

    Args:
        keys: those whose values are hidden.
        pii: hide e-mail addresses and card numbers too.
    """
    if "=" in text or ":" in text:
        text = "".join(_without_values(text, keys))
        text = _USERINFO.sub(f"://{REDACTED}:{REDACTED}@", text)
    folded = text.casefold()
    if "bearer" in folded or "basic" in folded:  # a look that is cheaper than the pattern
        text = _SCHEME.sub(_hide_credential, text)
    if "ey" in text:
        text = _JWT.sub(REDACTED, text)
    if pii:
        if "@" in text:
            text = _EMAIL.sub(REDACTED, text)
        text = _DIGITS.sub(_hide_cards, text)
    return text


def _without_values(text: str, keys: SecretKeys) -> Iterator[str]:
    """Yield the text without the values of secret keys; that of any other key is searched for pairs itself."""
    copied = 0
    for key in _KEY.finditer(text):
        if key.start() < copied or key[1] not in keys:
            continue
        kept, end = _value(text, key)
        if end > key.end():
            yield f"{text[copied : key.end()]}{kept}{REDACTED}"
            copied = end
    yield text[copied:]


def _value(text: str, key: re.Match[str]) -> tuple[str, int]:
    """Return the quote that stays, and where the value of a secret key ends."""
    start = key.end()
    if text[start : start + 1] in ("[", "{", "("):
        return "", _closing(text, start)
    value = _VALUE.match(text, start)
    if value is None:
        return "", start
    kept = value["escaped"] or value["double"] or value["single"] or ""
    if kept or not squeeze(key[1]).endswith(WITH_BLANKS):
        return kept, value.end()
    rest = (_REST_OF_LINE if ":" in key[0] else _NEXT_WORD).match(text, start)
    return "", rest.end() if rest else value.end()


def _closing(text: str, start: int) -> int:
    """Return where the bracket at `start` is closed, or its line ends where it is not closed soon."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start, start + _BRACKETED):
        depth += 1 if bracket[0] in "[{(" else -1
        if depth == 0:
            return bracket.end()
    line = text.find("\n", start)
    return len(text) if line < 0 else line


def _hide_credential(match: re.Match[str]) -> str:
    """Hide what follows `Bearer` or `Basic`, unless it is a plain word of a sentence."""
    word = match["word"]
    is_plain = len(word) < 20 and word.isalpha() and (word.islower() or word.istitle())
    return match[0] if is_plain else f"{match['scheme']}{REDACTED}"


def _hide_cards(match: re.Match[str]) -> str:
    """Hide the card numbers among groups of digits; other numbers may stand beside them."""
    text = match[0]
    groups = [group.span() for group in _GROUP.finditer(text)]
    for index, (start, _) in enumerate(groups):
        for _, end in groups[index : index + 5]:
            if end - start >= 13 and _is_card(text[start:end]):
                return f"{text[:start]}{REDACTED}{_DIGITS.sub(_hide_cards, text[end:])}"
    return text


def _is_card(text: str) -> bool:
    """Tell whether the digits may be a card number: its length, its first digit, its check digit (ISO/IEC 7812-1)."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or not 2 <= digits[0] <= 6:
        return False
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + doubled) % 10 == 0
