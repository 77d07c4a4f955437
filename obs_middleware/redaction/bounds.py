"""Where a value begins and ends.

Rules:
- a quoted value ends at its quote, escaped quotes are part of it;
- a bare one ends at the next key, where the sentence goes on, or at the line's end, because a password may hold any
  punctuation, blanks too;
- in a URL it ends at a blank or the next parameter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from obs_middleware.redaction.keys import Key
from obs_middleware.redaction.values import goes_on

VALUE_CHARACTERS = 16_384
LOOK_CHARACTERS = 256  # of a value, to tell what it is; and how far the next key is looked for
_QUOTES = 32  # that do not end a value
_closers = re.compile(r"""["'`)\]}>.,;!]+\Z""")
_next_key = re.compile(
    r"""["'`)\]}>]{0,4}(?:[\s,;&|]{1,16}|\\[nrt])[\[({<]{0,3}\\{0,15}["'`]?
        (?: (?:--?)?[A-Za-z_][\w.\[\]-]{0,63}\\{0,15}["'`]?\s{0,2}(?: =>?(?![=\s]) | =\s(?=\S) | :=? (?=[\s"'\[{\d]) )
          | --?[A-Za-z]
        )
    """,
    re.VERBOSE,
)
_parameter_end = re.compile(r"&(?=[\w.\[\]%-]{1,64}=)|&amp;|#(?=[\w-]+\Z|\Z)")
_bare_url = re.compile(r"""[^\s"<>`]*""")
any_word = re.compile(r"\S{1,4096}")
beginning = re.compile(r"\S{1,80}").match
scheme_at = re.compile(
    r"(?:basic|bearer|digest|token|apikey|api-?key|negotiate|ntlm|oauth|jwt|key|bot|mac|hawk|splunk|"
    r"geniekey|ssws|sso-key|"
    r"aws4-hmac-sha256|sharedaccesssignature|sharedkey|sharedkeylite|googlelogin|dpop|gnap|signature|"
    r"[A-Za-z][\w-]{1,20})[ ]+(?=\S)",
    re.IGNORECASE,
).match
_wrapper = re.compile(r"""(?:[A-Za-z_][\w.]{0,40}\(\s?|&?(?=["']))(?=[bBuU]?["'])""").match
quote_at = re.compile(
    r"""(?P<prefix> [bBrRuUfF@$]{0,2} )(?P<slashes> \\{0,15} )(?P<quote> ["'`] )""", re.VERBOSE
).match
_bracket = re.compile(r"[\[\](){}]")
BRACKETED = 512
_OPENERS = {"[": "]", "{": "}", "(": ")"}
_SCHEMES = frozenset(
    [
        "basic",
        "bearer",
        "digest",
        "token",
        "apikey",
        "api-key",
        "negotiate",
        "ntlm",
        "oauth",
        "jwt",
        "key",
        "bot",
    ]
)


class Value(NamedTuple):
    start: int
    end: int
    is_quoted: bool = False
    is_bracketed: bool = False


def value_at(text: str, at: int, key: Key, start: int, sign: str, before: str) -> Value:
    """Return where a value begins and ends."""
    wrapper = _wrapper(text, at)
    if wrapper is not None and wrapper.end() > at:
        quote = quote_at(text, wrapper.end())
        is_type = wrapper[0][:1].isupper() or wrapper[0].startswith(("bytes(", "bytearray(", "str("))
        if quote is not None and is_type and "(" in wrapper[0]:
            return Value(
                quote.end(), closing_quote(text, quote.end(), quote["quote"], len(quote["slashes"])), True
            )
        if not (quote is not None and not wrapper[0].strip("&")):
            return Value(at, line_end(text, at), False)
    quote = quote_at(text, at)
    if quote is not None:
        if not quote["slashes"] and text.startswith(quote["quote"] * 3, quote.end() - 1):
            return _of_three_quotes(text, quote.end() + 2, quote["quote"] * 3)
        end = closing_quote(text, quote.end(), quote["quote"], len(quote["slashes"]))
        return Value(quote.end(), end, True)
    if text[at : at + 1] in _OPENERS and (end := _closing(text, at)):
        return Value(at, end, False, True)
    if (start and text[start - 1] in "?&") or "%26" in text[max(0, start - 3) : start]:
        found = _bare_url.match(text, at)
        assert found is not None  # noqa: S101
        return Value(at, _before_next_key(text, at, found.end(), r"&"))
    line = line_end(text, at)
    if before in ("'", '"') and sign != ",":
        enclosing = closing_quote(text, at, before, 0)
        line = min(line, enclosing)
    if key.has_blanks or key.is_personal:
        name = key.name
        if name.endswith(("mnemonic", "phrase")):
            return Value(at, _trimmed(text, at, line))
        if name.endswith(("cookie", "cookies", "authorization")) and sign.startswith(":"):
            return Value(at, _trimmed(text, at, line))
        end = _before_sentence(text, at, _before_next_key(text, at, line))
        return Value(at, _trimmed(text, at, end))
    scheme = scheme_at(text, at, line) if sign.startswith(":") or sign == "=" else None
    word_at = at
    if (
        scheme is not None
        and key.name.endswith(("token", "auth", "key", "jwt"))
        and scheme[0].strip().lower() in _SCHEMES
    ):
        word_at = scheme.end()
    found = any_word.match(text, word_at, line)
    if found is None:
        return Value(at, at)
    is_whole = key.name.endswith("signature") and sign.startswith(":")  # t=…,v1=…
    end = found.end() if is_whole else _before_next_key(text, at, found.end())
    return Value(at, _trimmed(text, at, end))


def _of_three_quotes(text: str, at: int, quotes: str) -> Value:
    """Return a value between three quotes, as TOML and Python have it."""
    end = text.find(quotes, at, at + VALUE_CHARACTERS)
    return Value(at, end if end >= 0 else line_end(text, at), True)


def _before_next_key(text: str, at: int, end: int, separator: str = "") -> int:
    if separator == "&":
        found = _parameter_end.search(text, at, end)
        return found.start() if found else end
    if text.startswith("/*", at):
        return end
    found = _next_key.search(text, at, min(end + 70, at + LOOK_CHARACTERS, len(text)))
    return found.start() if found is not None and found.start() < end and found.start() > at else end


def _before_sentence(text: str, at: int, end: int) -> int:
    """Return where a value with blanks ends, because the sentence goes on behind it."""
    for word in any_word.finditer(text, at, min(end, at + LOOK_CHARACTERS)):
        if word.start() > at and goes_on(word[0]):
            return word.start()
    return end


def trailing(value: str) -> str:
    found = _closers.search(value[-16:])
    return found[0] if found else ""


def _trimmed(text: str, at: int, end: int) -> int:
    """Return the end without closing brackets and punctuation of what is around the value."""
    while end > at and text[end - 1].isspace():
        end -= 1
    end -= len(trailing(text[at:end]))
    return end


def line_end(text: str, at: int) -> int:
    limit = min(len(text), at + VALUE_CHARACTERS)
    end = text.find("\n", at, limit)
    end = limit if end < 0 else end
    carriage_return = text.find("\r", at, end)
    return end if carriage_return < 0 else carriage_return


def closing_quote(text: str, at: int, quote: str, slashes: int) -> int:
    """Return where the quote is that closes a value; its line's end where there is none.

    Args:
        slashes: how many backslashes stand before the opening quote, as in JSON inside JSON.
    """
    limit = min(len(text), at + VALUE_CHARACTERS)
    position = at
    for _ in range(_QUOTES):
        position = text.find(quote, position, limit)
        if position < 0:
            break
        run = 0
        while run < 64 and position - run > at and text[position - run - 1] == "\\":
            run += 1
        if run < slashes:
            return position - run
        is_escaped = ((run - slashes) // (slashes + 1)) % 2 == 1
        follows = text[position + 1 : position + 2]
        is_inside = not slashes and (
            follows.isalnum() or (follows == quote and position > at) or follows == "_"
        )
        if follows == quote and not slashes and not is_escaped and position > at:
            position += 2  # a doubled quote, as SQL has it
            continue
        if not is_escaped and not is_inside:
            return position - slashes if run >= slashes else position
        position += 1
    return min(line_end(text, at), limit)


def _closing(text: str, start: int) -> int:
    """Return where the bracket at `start` is closed, if that is soon and nothing of a value follows it, else 0."""
    depth = 0
    for bracket in _bracket.finditer(text, start, start + BRACKETED):
        depth += 1 if bracket[0] in "[{(" else -1
        if depth == 0:
            follows = text[bracket.end() : bracket.end() + 1]
            return (
                bracket.end()
                if follows in ("", " ", ",", ";", ")", "]", "}", "\n", "\r", '"', "'", "\\", "&", "|", "<")
                else 0
            )
    return 0
