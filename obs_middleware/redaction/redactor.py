"""Redactor: hides secrets in text, queries and exceptions; one for every sink.

Rules:
- a key decides before a value does: `password`, `userPassword`, `X-Api-Key` hide whatever they hold;
- text is searched for `key=value` pairs, bearer and basic credentials, JWTs, the userinfo of URLs and, with personal
  data hidden, e-mail addresses and card numbers that pass the Luhn test;
- where a text is cut, no half of a secret is left at its edge;
- what is not text is not this module's: a sink makes it text first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from obs_middleware.exchange import error_name
from obs_middleware.redaction.keys import KEY_CHARACTERS, QUERY_CREDENTIALS, SecretKeys, squeeze
from obs_middleware.redaction.patterns import REDACTED, has_no_secret, hide
from obs_middleware.redaction.stack import is_long, stack_of

CUT = "…[cut]"
CHARACTERS = 16_384  # of one text

_KEYS_REMEMBERED = 2048  # clients make keys of queries
_TEXTS_REMEMBERED = 512
_PATH_CHARACTERS = 2048
_TEXT_CHARACTERS = 256
_BEYOND = 256
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Redactor:
    """Hide secrets in text, queries and exceptions, and tell which keys hide their value.

    Args:
        pii: hide personal data too.
        keys: further keys whose values are hidden, in any spelling.
    """

    def __init__(self, *, pii: bool = True, keys: Iterable[str] = ()) -> None:
        self._keys = SecretKeys(pii=pii, keys=keys)
        self._pii = pii
        self._harmless_keys: set[str] = set()  # of queries, with nothing to decode and nothing to hide
        self._redacted_texts: dict[str, str] = {}

    def is_secret_key(self, key: str) -> bool:
        """Tell whether a key's value is hidden whatever it is."""
        return key in self._keys

    def text(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Hide the secrets in free text, cut to `limit` characters and fit for UTF-8."""
        if len(text) <= limit:
            return text if has_no_secret(text) else _fit(self._hide(text))
        hidden = self._hide(text[: limit + _BEYOND])
        return _fit(hidden[: max(0, min(limit, len(hidden) - _BEYOND))] + CUT)

    def line(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Return what `text` does, with control characters as escapes."""
        is_short = len(text) <= limit
        return text if is_short and has_no_secret(text) else one_line(self.text(text, limit=limit))

    def path(self, path: str) -> str:
        """Return a URL's path without secrets, on one line."""
        return self.line(path, limit=_PATH_CHARACTERS)

    def cached_text(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Return what `text` does, from memory where the text came before: routes, user agents, addresses."""
        redacted = self._redacted_texts.get(text)
        if redacted is None:
            redacted = self.text(text, limit=limit)
            if len(text) <= _TEXT_CHARACTERS:
                if len(self._redacted_texts) >= _TEXTS_REMEMBERED:
                    self._redacted_texts.clear()  # clients may fill it: those that come again are soon back
                self._redacted_texts[text] = redacted
        return redacted

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
        shown = self.text(message, limit=_TEXT_CHARACTERS) if is_long(message) else message
        stack = stack_of(error, message=message, shown=shown)
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
        return hide(text, self._keys, pii=self._pii)

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if name in self._harmless_keys and has_no_secret(value):
            return parameter
        key, decoded = unquote_plus(name), unquote_plus(value)
        is_secret = squeeze(key) in QUERY_CREDENTIALS or key in self._keys
        if self._hide(key) != key:
            name = REDACTED
        elif key == name and not is_secret and len(self._harmless_keys) < _KEYS_REMEMBERED:
            self._harmless_keys.update((key,) if len(key) <= KEY_CHARACTERS else ())
        if value and (is_secret or self._hide(decoded) != decoded):
            value = REDACTED
        return f"{name}{equals}{value}"


def one_line(text: str) -> str:
    """Write control characters as escapes: what a client sends must not begin a line of its own, nor move a cursor."""
    return text if text.isprintable() else _control.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _fit(text: str) -> str:
    """Make a text fit for UTF-8: lone surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
