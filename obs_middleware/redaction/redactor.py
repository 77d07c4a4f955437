"""Redactor: hides secrets in text, queries and exceptions; one for every sink.

Rules:
- a key decides before a value does: `password`, `userPassword`, `X-Api-Key` hide whatever they hold;
- text is searched for the values of secret keys, for credentials by their form, and with personal data hidden for
  e-mail addresses and for numbers that have the form of a card's, an account's, a phone's or a person's;
- where a text is cut, no half of a secret is left at its edge;
- what is not text is not this module's: a sink makes it text first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from obs_middleware.exchange import error_name
from obs_middleware.redaction import anchors, personal
from obs_middleware.redaction.addresses import FORMS, ShowAddress, whole
from obs_middleware.redaction.columns import hide_literals
from obs_middleware.redaction.commands import hide_calls, hide_commands
from obs_middleware.redaction.encoded import BASE64_BEGINS, hide_base64, hide_encoded
from obs_middleware.redaction.keys import KEY_CHARACTERS, QUERY_CREDENTIALS, Level, SecretKeys, squeeze
from obs_middleware.redaction.marks import hasher, masked
from obs_middleware.redaction.pairs import spans, without
from obs_middleware.redaction.shapes import SCHEMES, hide_codes, hide_hashes, hide_schemes, hide_shapes
from obs_middleware.redaction.stack import is_long, stack_of
from obs_middleware.redaction.userinfo import hide_userinfo
from obs_middleware.redaction.values import looks_secret

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

CUT = "…[cut]"
CHARACTERS = 16_384  # of one text

_KEYS_REMEMBERED = 2048  # clients make keys of queries
_TEXTS_REMEMBERED = 512
_PATH_CHARACTERS = 2048
_TEXT_CHARACTERS = 256
_SHAPES_REMEMBERED = 512
_SHAPE_CHARACTERS = 512
_BEYOND = 256
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Fields of an object that is a name and its value, as in HAR, Kubernetes and cloud tags.
_NAME_FIELDS = (
    "name",
    "key",
    "header",
    "field",
    "param",
    "parameter",
    "variable",
    "option",
    "label",
    "property",
    "setting",
    "attribute",
)
_VALUE_FIELDS = ("value", "val", "content", "data", "secret")
_state = re.compile(r"([?&]state=)([^&\s\"'<>#]{8,1024})")
# Short words and short numbers between slashes, as in most paths: nothing can be hidden there.
_has_no_secret = re.compile(
    r"(?:[a-z_-]{0,20}|\d{1,8}|v\d{1,2})(?:/(?:[a-z_-]{0,20}|\d{1,8}|v\d{1,2}))*"
).fullmatch


class Redactor:
    """Hide secrets in text, queries and exceptions, and tell which keys hide their value.

    Args:
        pii: hide personal data too.
        keys: further keys whose values are hidden, in any spelling.
        allowed_keys: keys whose values are shown, in any spelling, unless they look like a secret by themselves.
        patterns: further secrets, as regular expressions; where one has a group, that is the secret.
        callback: gets each text after that, and returns it without whatever else is secret.
        mark: returns what stands in the place of a secret.
    """

    def __init__(
        self,
        *,
        pii: bool = True,
        keys: Iterable[str] = (),
        allowed_keys: Iterable[str] = (),
        patterns: Iterable[str] = (),
        callback: Callable[[str], str] | None = None,
        mark: Callable[[str], str] = masked,
    ) -> None:
        self._keys = SecretKeys(pii=pii, keys=keys, allowed=allowed_keys)
        self._anchors = anchors.Anchors(self._keys.own)
        self._pii = pii
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._callback = callback
        self._has_own = bool(self._patterns or callback)
        self._mark = mark
        self._harmless_keys: set[str] = set()  # of queries, with nothing to decode and nothing to hide
        self._redacted_texts: dict[str, str] = {}
        self._show_address: ShowAddress = whole
        self._clean_shapes: dict[bytes, bool] = {}  # messages of one template differ in their numbers

    @classmethod
    def of(cls, settings: Settings) -> Redactor:
        """Return the Redactor that the settings ask for."""
        return cls(
            pii=settings.redact_pii,
            keys=settings.redact_keys,
            allowed_keys=settings.redact_allowed_keys,
            patterns=settings.redact_patterns,
            callback=settings.redact_callback,
            mark=hasher(settings.redact_hash_key) if settings.redact_mode == "hash" else masked,
        )

    def is_secret_key(self, key: str) -> bool:
        """Tell whether a key's value is hidden whatever it is."""
        return key in self._keys

    def hides(self, key: str, value: object) -> bool:
        """Tell whether the value of a structured field is hidden because of the field's name."""
        found = self._keys[key]
        if found.level is Level.MAYBE:
            return isinstance(value, str) and looks_secret(value)
        is_count = found.name.endswith("tokens") and isinstance(value, (int, float))
        return not is_count and key in self._keys

    def mark(self, value: object) -> str:
        """Return what stands in the place of a secret."""
        return self._mark(value if isinstance(value, str) else str(value))

    def is_secret_number(self, value: float) -> bool:
        """Tell whether a number is a personal datum, as that of a card."""
        return (
            self._pii and 1e12 <= value < 1e19 and value == int(value) and personal.is_card(str(int(value)))
        )

    def secret_of(self, items: Sequence[Any]) -> object | None:
        """Return the last of the items if those before it are its secret name: a header, a pair, a triple."""
        if not 2 <= len(items) <= 3 or not self._is_secret_name(items[-2]):
            return None
        last = items[-1]
        is_names = len(items) == 3 or (isinstance(last, str) and last in self._keys)
        return last if not is_names or not isinstance(last, str) or looks_secret(last) else None

    def secret_field(self, fields: Mapping[Any, Any]) -> tuple[Any, Any] | None:
        """Return the keys of name and value where an object names a secret: `{"name": "Authorization", "value": …}`."""
        small = {key.lower(): key for key in fields if isinstance(key, str)}
        name = next(
            (
                small[key]
                for key in small
                if key.endswith(_NAME_FIELDS) and self._is_secret_name(fields[small[key]])
            ),
            None,
        )
        value = next(
            (small[key] for key in small if key.endswith(_VALUE_FIELDS) and small[key] != name), None
        )
        return None if name is None or value is None else (name, value)

    def _is_secret_name(self, name: object) -> bool:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        return (
            isinstance(text, str) and len(text) <= KEY_CHARACTERS and " " not in text and text in self._keys
        )

    def text(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Hide the secrets in free text, cut to `limit` characters and fit for UTF-8."""
        if len(text) <= limit:
            if not self._is_clean(text):
                text = self._hide(text)
            return text if text.isascii() else _fit(text)
        hidden = self._hide(text[: limit + _BEYOND])
        return _fit(hidden[: max(0, min(limit, len(hidden) - _BEYOND))] + CUT)

    def line(self, text: str, *, limit: int = CHARACTERS) -> str:
        """Return what `text` does, with control characters as escapes."""
        is_short = len(text) <= limit and not self._has_own
        return text if is_short and _has_no_secret(text) else one_line(self.text(text, limit=limit))

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

    def show_addresses(self, form: str) -> None:
        """Show clients' addresses in a form of `addresses.FORMS`."""
        self._show_address = FORMS[form]

    def address(self, address: str) -> str | None:
        """Return a client's address in the form in which it may be shown; None where it may not."""
        shown = self._show_address(address)
        return None if shown is None else self.cached_text(shown)

    @property
    def shows_addresses_whole(self) -> bool:
        """Tell whether they are shown as they are."""
        return self._show_address is whole

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

    def _is_clean(self, text: str) -> bool:
        """Tell whether nothing can be hidden in a text; from memory where one came that differs in its digits alone."""
        if self._has_own:
            return False
        if len(text) > _SHAPE_CHARACTERS or not text.isascii():
            return self._anchors.is_clean(text)
        shape = anchors.shape(text)
        is_clean = self._clean_shapes.get(shape)
        if is_clean is None:
            if len(self._clean_shapes) >= _SHAPES_REMEMBERED:
                self._clean_shapes.clear()
            is_clean = self._clean_shapes[shape] = self._anchors.is_clean_shape(shape)
        return is_clean

    def _hide(self, text: str) -> str:
        """Return the text without its secrets."""
        if "%" in text or "&" in text or "\\" in text:
            text = hide_encoded(text, self._hide_plain)
        if any(begin in text for begin in BASE64_BEGINS):
            text = hide_base64(text, self._hide_plain, self._mark)
        text = self._hide_plain(text)
        return self._hide_own(text) if self._has_own else text

    def _hide_plain(self, text: str) -> str:
        mark = self._mark
        if ((" -" in text or "'-" in text or '"-' in text) and anchors.has_option(text)) or "/user:" in text:
            text = hide_commands(text, mark)
        if "$" in text:
            text = hide_hashes(text, mark)
        may_hold = self._anchors.any(text)
        if may_hold:
            if self._anchors.forms(text):
                text = hide_shapes(text, mark)
            text = hide_literals(text, anchors.small(text), self._keys, mark)
            small = anchors.small(text)
            text = without(text, spans(text, self._anchors.words(text), self._keys), mark)
            if any(scheme in small for scheme in SCHEMES):
                text = hide_schemes(text, mark)
            if "your " in small or "PIN" in text:
                text = hide_codes(text, mark)
            if "('" in text or '("' in text:
                text = hide_calls(text, mark)
            if "state=" in text:
                text = _state.sub(self._hide_state, text)
        if "@" in text or ("%" in text and "%40" in text):
            if ":" in text:
                text = hide_userinfo(text, mark)
            if self._pii:
                text = personal.hide_emails(text, mark)
        if self._pii and (
            "+" in text or anchors.has_numbers(text) or (may_hold and anchors.has_digits(text))
        ):
            text = personal.hide_numbers(text, mark)
        return text

    def _hide_state(self, match: re.Match[str]) -> str:
        return f"{match[1]}{self._mark(match[2])}" if looks_secret(match[2]) else match[0]

    def _hide_own(self, text: str) -> str:
        """Return the text without what the user's own patterns and callback take for secrets."""
        try:
            for pattern in self._patterns:
                text = pattern.sub(self._hide_match, text)
            if self._callback is not None:
                text = self._callback(text)
            return text if isinstance(text, str) else self._mark("")
        except Exception:  # what it would have hidden is not known
            return self._mark("")

    def _hide_match(self, match: re.Match[str]) -> str:
        group = 1 if match.re.groups and match[1] is not None else 0
        start, end = match.start(group) - match.start(), match.end(group) - match.start()
        return f"{match[0][:start]}{self._mark(match[group])}{match[0][end:]}"

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if name in self._harmless_keys and not self._has_own and _has_no_secret(value):
            return parameter
        key, decoded = unquote_plus(name), unquote_plus(value)
        found = self._keys[key]
        is_secret = squeeze(key) in QUERY_CREDENTIALS or self.hides(key, decoded)
        if self._hide(key) != key:
            name = self._mark(key)
        elif (
            key == name
            and found.level is Level.NO
            and not is_secret
            and len(self._harmless_keys) < _KEYS_REMEMBERED
        ):
            self._harmless_keys.update((key,) if len(key) <= KEY_CHARACTERS else ())
        if value and (is_secret or self._hide(decoded) != decoded or self._hide(parameter) != parameter):
            value = self._mark(decoded)
        return f"{name}{equals}{value}"


def one_line(text: str) -> str:
    """Write control characters as escapes: what a client sends must not begin a line of its own, nor move a cursor."""
    return text if text.isprintable() else _control.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _fit(text: str) -> str:
    """Make a text fit for UTF-8: lone surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
