"""What is a secret and how it is hidden: one Redactor, compiled once, for every sink.

Rules:
- a key decides before a value does: `password`, `userPassword`, `X-Api-Key` hide whatever they hold;
- text is searched for `key=value` pairs, bearer and basic credentials, JWTs, the userinfo of URLs and, with personal
  data hidden, e-mail addresses and card numbers that pass the Luhn test;
- no pattern looks twice at a stretch of any length, so that the time is linear in the text;
- where a text is cut, no half of a secret is left at its edge;
- what is not text is not this module's: a sink makes it text first.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_plus

from obs_middleware.exchange import error_name

REDACTED = "REDACTED"
CUT = "…[cut]"
CHARACTERS = 16_384  # of one text

# Compared without case and punctuation, so that `access_token`, `accessToken` and `Access-Token` are one key.
_CREDENTIALS = (
    r"passw(?:or)?ds?|passphrases?|secrets?|token|(?:access|api|auth|bearer|id|refresh)tokens|"
    r"(?:access|api|encryption|private|secret|session|signing)keys?|auth(?:orization|entication)|cookies?|"
    r"credentials?|jwt|[cx]srf|otp|cv[cv]|signature|awsaccesskeyid|sessionid"
)
_EXACT_CREDENTIALS = r"auth|pass|pin|pwd|sid|sig|tokens|.*password.*"
_QUERY_CREDENTIALS = ("code", "state")  # of OAuth 2.0 redirects (RFC 6749, section 4.1.2)
_PII = (
    r"email(?:address)?|(?:home|mobile)phone|phonenumber|(?:customer|first|full|last)name|customerid|ssn|creditcard|"
    r"cardnumber|paymentmethod|(?:billing|home|postal|shipping|street)address"
)
_EXACT_PII = r"address|name|phone"  # as endings they are too common: ip_address, hostname
_WITH_BLANKS = ("authorization", "cookie")  # headers whose values have blanks in them

_KEYS_REMEMBERED = 2048  # keys may be made by clients
_KEY_CHARACTERS = 128
_TEXTS_REMEMBERED = 512
_PATH_CHARACTERS = 2048
_TEXT_CHARACTERS = 256
_BEYOND = 256
# Words, slashes and short numbers, as in most paths: no pattern below can match there (2 µs less for each path).
_has_no_secret = re.compile(r"[A-Za-z_/]*(?:[0-9-]{1,12}[A-Za-z_/]+)*[0-9-]{0,12}").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_not_alphanumeric = re.compile(r"[\W_]+")

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
_GROUP = re.compile(r"\d+", re.ASCII)
_BRACKET = re.compile(r"[\[\](){}]")
_BRACKETED = 512
_SCHEME = re.compile(r"\b(?P<scheme>(?:bearer|basic) +)(?P<word>[a-z0-9._~+/=-]{6,})", re.IGNORECASE)
_JWT = re.compile(r"(?<![\w-])ey[jJ][\w-]{5,}\.[\w-]{4,}\.[\w-]*", re.ASCII)
_USERINFO = re.compile(r"://[^\s/?#]{1,512}@")
_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+")
# The last word of a key: `db_pass`, `smtpPwd`; `compass` is none.
_is_secret_word = re.compile(
    r".*(?:[\W_](?i:auth|pass|pin|pwd|sid)|[a-z](?:Auth|Pass|Pin|Pwd|Sid))", re.DOTALL
).fullmatch
_DIGITS = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,47}(?!\.?\d)", re.ASCII)


class Redactor:
    """Hide secrets in text, queries and exceptions, and tell which keys hide their value.

    Args:
        pii: hide personal data too.
        keys: further keys whose values are hidden, in any spelling.
    """

    def __init__(self, *, pii: bool = True, keys: Iterable[str] = ()) -> None:
        own = [re.escape(squeezed) for squeezed in map(_squeeze, keys) if squeezed]
        endings = "|".join([_CREDENTIALS, *own, *([_PII] if pii else [])])
        exact = "|".join([_EXACT_CREDENTIALS, *([_EXACT_PII] if pii else [])])
        self._is_secret = re.compile(f".*(?:{endings})|{exact}").fullmatch
        self._pii = pii
        self._known_keys: dict[str, bool] = {}
        self._plain_keys: set[str] = set()  # of queries, with nothing to decode and nothing to hide
        self._known_texts: dict[str, str] = {}

    def is_secret_key(self, key: str) -> bool:
        """Tell whether a key's value is hidden whatever it is."""
        known = self._known_keys.get(key)
        if known is None:
            end = key[-_KEY_CHARACTERS:]
            known = bool(self._is_secret(_squeeze(end)) or _is_secret_word(end))
            if len(key) <= _KEY_CHARACTERS and len(self._known_keys) < _KEYS_REMEMBERED:
                self._known_keys[key] = known
        return known

    def text(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Hide the secrets in free text, cut to `limit` characters and fit for UTF-8."""
        if len(text) <= limit:
            return text if _has_no_secret(text) else _fit(self._hide(text))
        hidden = self._hide(text[: limit + _BEYOND])
        return _fit(hidden[: max(0, min(limit, len(hidden) - _BEYOND))] + CUT)

    def line(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Return what `text` does, with control characters as escapes."""
        is_short = len(text) <= limit
        return text if is_short and _has_no_secret(text) else one_line(self.text(text, limit=limit))

    def path(self, path: str) -> str:
        """Return a URL's path without secrets, on one line."""
        return self.line(path, limit=_PATH_CHARACTERS)

    def known(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Return what `text` does, from memory where the text came before: routes, user agents, addresses."""
        shown = self._known_texts.get(text)
        if shown is None:
            shown = self.text(text, limit=limit)
            if len(text) <= _TEXT_CHARACTERS:
                if len(self._known_texts) >= _TEXTS_REMEMBERED:
                    self._known_texts.clear()  # clients may fill it: those that come again are soon back
                self._known_texts[text] = shown
        return shown

    def query(self, query: str) -> str:
        """Hide the secrets in a URL's query; keys, order, blanks and the encoding of the rest stay as they are.

        https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/ (`url.query`).
        """
        return _fit("&".join(map(self._parameter, query[:CHARACTERS].split("&")))) if query else query

    def error(self, error: BaseException) -> tuple[str, str, str]:
        """Return an exception's type, message and stack, both texts cut and without secrets."""
        try:
            message = str(error)
        except Exception:
            message = "<str() of the exception failed>"
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return error_name(error), self.text(message), self._end(stack)

    def describe(self, error: BaseException) -> str:
        """Return an exception's type and message as one text, without secrets."""
        kind, message, _ = self.error(error)
        return f"{kind}: {message}" if message else kind

    def _end(self, text: str) -> str:
        """Return the end of a text, which in a stack says the most."""
        if len(text) <= CHARACTERS:
            return _fit(self._hide(text))
        hidden = self._hide(text[-CHARACTERS - _BEYOND :])
        return _fit(CUT + hidden[-max(1, min(CHARACTERS, len(hidden) - _BEYOND)) :])

    def _hide(self, text: str) -> str:
        if "=" in text or ":" in text:
            text = "".join(self._without_pairs(text))
            text = _USERINFO.sub(f"://{REDACTED}:{REDACTED}@", text)
        folded = text.casefold()
        if "bearer" in folded or "basic" in folded:  # looked for first: 3 µs less for each text without
            text = _SCHEME.sub(_hide_credential, text)
        if "ey" in text:
            text = _JWT.sub(REDACTED, text)
        if self._pii:
            if "@" in text:
                text = _EMAIL.sub(REDACTED, text)
            text = _DIGITS.sub(_hide_cards, text)
        return text

    def _without_pairs(self, text: str) -> Iterator[str]:
        """Yield the text without the values of secret keys; that of any other key is searched for pairs itself."""
        copied = 0
        for key in _KEY.finditer(text):
            if key.start() < copied or not self.is_secret_key(key[1]):
                continue
            kept, end = _value(text, key)
            if end > key.end():
                yield f"{text[copied : key.end()]}{kept}{REDACTED}"
                copied = end
        yield text[copied:]

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if name in self._plain_keys and _has_no_secret(value):  # 130 bytecodes less for each
            return parameter
        key, plain = unquote_plus(name), unquote_plus(value)
        is_secret = _squeeze(key) in _QUERY_CREDENTIALS or self.is_secret_key(key)
        if self._hide(key) != key:
            name = REDACTED
        elif key == name and not is_secret and len(self._plain_keys) < _KEYS_REMEMBERED:
            self._plain_keys.update((key,) if len(key) <= _KEY_CHARACTERS else ())
        if value and (is_secret or self._hide(plain) != plain):
            value = REDACTED
        return f"{name}{equals}{value}"


def _value(text: str, key: re.Match[str]) -> tuple[str, int]:
    """Return the quote that stays, and where the value of a secret key ends."""
    start = key.end()
    if text[start : start + 1] in ("[", "{", "("):
        return "", _closing(text, start)
    value = _VALUE.match(text, start)
    if value is None:
        return "", start
    kept = value["escaped"] or value["double"] or value["single"] or ""
    if kept or not _squeeze(key[1]).endswith(_WITH_BLANKS):
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


def one_line(text: str) -> str:
    """Write control characters as escapes: what a client sends must not begin a line of its own, nor move a cursor."""
    return text if text.isprintable() else _control.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _squeeze(key: str) -> str:
    return _not_alphanumeric.sub("", key).lower()


def _fit(text: str) -> str:
    """Make a text fit for UTF-8: lone surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
