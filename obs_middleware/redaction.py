"""What is a secret and how it is hidden: one Redactor, compiled once, for every sink.

Rules:
- a key decides before a value does: `password`, `userPassword`, `X-Api-Key` hide whatever they hold;
- values are searched for bearer and basic credentials, JWTs, `key=value` pairs, URL userinfo, and, with personal
  data hidden, e-mail addresses and card numbers that pass the Luhn test;
- no pattern looks twice at a stretch of any length, so that the time is linear in the text;
- what is not text is not this module's: a sink makes it text first.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from urllib.parse import unquote_plus

from obs_middleware.exchange import error_name

REDACTED = "REDACTED"
CUT = "…[cut]"
CHARACTERS = 16_384  # of one text

# Compared without case and punctuation, so that `access_token`, `accessToken` and `Access-Token` are one key.
_CREDENTIALS = (
    r"passw(?:or)?d|passphrase|secret|token|(?:api|access|private|signing)key|auth(?:orization|entication)|cookie|"
    r"credentials?|jwt|[cx]srf|otp|cv[cv]|signature|awsaccesskeyid|sessionid"
)
_EXACT_CREDENTIALS = r"auth|pass|pin|pwd|sid|sig|.*password.*"
_QUERY_CREDENTIALS = ("code", "state")  # of OAuth 2.0 redirects (RFC 6749, section 4.1.2)
_PII = (
    r"email(?:address)?|(?:home|mobile)phone|phonenumber|(?:customer|first|full|last)name|customerid|ssn|creditcard|"
    r"cardnumber|paymentmethod|(?:billing|home|postal|shipping|street)address"
)
_EXACT_PII = r"address|name|phone"  # as endings they are too common: ip_address, hostname

_KEYS_REMEMBERED = 2048
_BEYOND = 256
_not_alphanumeric = re.compile(r"[\W_]+")

_CREDENTIAL_VALUES = re.compile(
    r"""(?P<scheme>\b(?:bearer|basic)[ ]+)[a-z0-9._~+/=-]{6,}
      | (?P<cookie>\b(?:set-)?cookie:[ ])[^\r\n]+
      | (?P<jwt>(?<![\w-])eyj[a-z0-9_-]{5,}\.[a-z0-9_-]{4,}\.[a-z0-9_-]*)
      | (?P<userinfo>://)[^\s/:@]{0,256}:[^\s/@]{1,256}@
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_KEY = re.compile(r"""(?<![\w.-])([\w.-]+)\\?["']?\s{0,3}[=:]\s{0,3}""")
_VALUE = re.compile(
    r"""(?P<quoted> "(?:[^"\\\n]|\\.)*" | 
        '(?:[^'\\\n]|\\.)*' ) | (?P<open>\\?["']?) (?P<word>[^\s"'\\&,;<>(){}\[\]]+)""",
    re.VERBOSE,
)
_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+")
_CARD = re.compile(r"(?<![\d.])[2-6]\d(?:[ -]?\d){11,17}(?![\d.]?\d)")


class Redactor:
    """Hide secrets in text, queries and exceptions, and tell which keys hide their value.

    Args:
        pii: hide personal data too.
        keys: further keys whose values are hidden, in any spelling.
    """

    def __init__(self, *, pii: bool = True, keys: Iterable[str] = ()) -> None:
        own = [re.escape(_squeeze(key)) for key in keys]
        endings = "|".join([_CREDENTIALS, *own, *([_PII] if pii else [])])
        exact = "|".join([_EXACT_CREDENTIALS, *([_EXACT_PII] if pii else [])])
        self._is_secret = re.compile(f".*(?:{endings})|{exact}").fullmatch
        self._pii = pii
        self._known_keys: dict[str, bool] = {}

    def is_secret_key(self, key: str) -> bool:
        """Tell whether a key's value is hidden whatever it is."""
        known = self._known_keys.get(key)
        if known is None:
            known = self._is_secret(_squeeze(key[-128:])) is not None
            if len(self._known_keys) < _KEYS_REMEMBERED:  # keys may be made by clients
                self._known_keys[key] = known
        return known

    def text(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Hide the secrets in free text, cut to `limit` characters and fit for UTF-8."""
        is_long = len(text) > limit
        if is_long:
            text = text[: limit + _BEYOND]  # some more than is kept, so as to see a secret at the edge whole
        text = self._hide(text)
        if is_long:
            text = text[:limit] + CUT
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")

    def _hide(self, text: str) -> str:
        if "=" in text or ":" in text:
            text = self._hide_pairs(text)
        text = _CREDENTIAL_VALUES.sub(_hide_credential, text)
        if self._pii:
            if "@" in text:
                text = _EMAIL.sub(REDACTED, text)
            text = _CARD.sub(_hide_card, text)
        return text

    def query(self, query: str) -> str:
        """Hide the secrets in a URL's query; keys, order, blanks and the encoding of the rest stay as they are.

        https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/ (`url.query`).
        """
        return "&".join(map(self._parameter, query[:CHARACTERS].split("&"))) if query else query

    def error(self, error: BaseException) -> tuple[str, str, str]:
        """Return an exception's type, message and stack, both texts cut and without secrets."""
        try:
            message = str(error)
        except Exception:
            message = "<str() of the exception failed>"
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return error_name(error), self.text(message), self.text(stack[-CHARACTERS:])

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if not value:
            return parameter
        key, plain = unquote_plus(name), unquote_plus(value)
        if _squeeze(key) in _QUERY_CREDENTIALS or self.is_secret_key(key) or self.text(plain) != plain:
            return f"{name}{equals}{REDACTED}"
        return parameter

    def _hide_pairs(self, text: str) -> str:
        """Hide the values of secret keys; the value of any other key is searched for pairs itself."""
        parts, copied = [], 0
        for key in _KEY.finditer(text):
            if key.start() < copied or not self.is_secret_key(key[1]):
                continue
            value = _VALUE.match(text, key.end())
            if value is None or (value["word"] or "").lower() in ("bearer", "basic"):
                continue  # of an Authorization header: the credential follows, and its own pattern hides it
            quote = value["quoted"][0] if value["quoted"] else ""
            parts += [text[copied : key.end()], value["open"] or quote, REDACTED, quote]
            copied = value.end()
        return "".join([*parts, text[copied:]]) if parts else text


def _squeeze(key: str) -> str:
    return _not_alphanumeric.sub("", key).lower()


def _hide_credential(match: re.Match[str]) -> str:
    if kept := match["scheme"] or match["cookie"]:
        return kept + REDACTED
    return f"://{REDACTED}:{REDACTED}@" if match["userinfo"] else REDACTED


def _hide_card(match: re.Match[str]) -> str:
    digits = [int(char) for char in match[0] if char.isdigit()]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return match[0] if (sum(digits[-1::-2]) + doubled) % 10 else REDACTED
