"""Which keys hide their value, whatever it is: `password`, `userPassword`, `X-Api-Key`."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Compared without case and punctuation, so that `access_token`, `accessToken` and `Access-Token` are one key.
_CREDENTIALS = (
    r"passw(?:or)?ds?|passphrases?|secrets?|token|(?:access|api|auth|bearer|id|refresh)tokens|"
    r"(?:access|api|encryption|private|secret|session|signing)keys?|auth(?:orization|entication)|cookies?|"
    r"credentials?|jwt|[cx]srf|otp|cv[cv]|signature|awsaccesskeyid|sessionid"
)
_EXACT_CREDENTIALS = r"auth|pass|pin|pwd|sid|sig|tokens|.*password.*"
QUERY_CREDENTIALS = ("code", "state")  # of OAuth 2.0 redirects (RFC 6749, section 4.1.2)
_PII = (
    r"email(?:address)?|(?:home|mobile)phone|phonenumber|(?:customer|first|full|last)name|customerid|ssn|creditcard|"
    r"cardnumber|paymentmethod|(?:billing|home|postal|shipping|street)address"
)
_EXACT_PII = r"address|name|phone"  # as endings they are too common: ip_address, hostname
WITH_BLANKS = ("authorization", "cookie")  # headers whose values have blanks in them
# The last word of a key: `db_pass`, `smtpPwd`; `compass` is none.
_is_secret_word = re.compile(
    r".*(?:[\W_](?i:auth|pass|pin|pwd|sid)|[a-z](?:Auth|Pass|Pin|Pwd|Sid))", re.DOTALL
).fullmatch

_KEYS_REMEMBERED = 2048  # keys may be made by clients
KEY_CHARACTERS = 128
_not_alphanumeric = re.compile(r"[\W_]+")


class SecretKeys:
    """Tell which keys are secret.

    Args:
        pii: those of personal data too.
        keys: further ones, in any spelling.
    """

    def __init__(self, *, pii: bool, keys: Iterable[str]) -> None:
        escaped = [re.escape(squeezed) for squeezed in map(squeeze, keys) if squeezed]
        endings = "|".join([_CREDENTIALS, *escaped, *([_PII] if pii else [])])
        exact = "|".join([_EXACT_CREDENTIALS, *([_EXACT_PII] if pii else [])])
        self._matches = re.compile(f".*(?:{endings})|{exact}").fullmatch
        self._answers: dict[str, bool] = {}

    def __contains__(self, key: str) -> bool:
        is_secret = self._answers.get(key)
        if is_secret is None:
            end = key[-KEY_CHARACTERS:]
            is_secret = bool(self._matches(squeeze(end)) or _is_secret_word(end))
            if len(key) <= KEY_CHARACTERS and len(self._answers) < _KEYS_REMEMBERED:
                self._answers[key] = is_secret
        return is_secret


def squeeze(key: str) -> str:
    """Return a key without case and punctuation."""
    return _not_alphanumeric.sub("", key).lower()
