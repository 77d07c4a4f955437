"""What stands in the place of a secret: the same word for all, or a word for each, so that equal secrets are seen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

REDACTED = "REDACTED"

_DIGITS = 12
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # digits would look like a number to hide
_OF_THIS_PROCESS = os.urandom(32).hex()  # and of the processes that it forks


def masked(value: str) -> str:
    """Return the word for every secret."""
    return REDACTED


def hasher(key: str | None) -> Callable[[str], str]:
    """Return a function that returns a word for each secret, by a keyed hash (BLAKE2, RFC 7693).

    Whoever lacks the key can neither undo the word nor try guesses.

    Args:
        key: the same in all processes whose logs are compared; one of this process and its forks unless given.
    """
    secret = (key or _OF_THIS_PROCESS).encode()[:64]

    def hashed(value: str) -> str:
        if not value or value.startswith(REDACTED):
            return value or REDACTED
        digest = hashlib.blake2b(
            value.encode("utf-8", "backslashreplace"), key=secret, digest_size=_DIGITS // 2
        )
        return f"{REDACTED}-{digest.hexdigest().translate(_LETTERS)}"

    return hashed
