"""What the tests of redaction share: secrets, and the Redactor that hides them."""

from __future__ import annotations

from functools import cache

from obs_middleware.redaction.redactor import Redactor

CARD = "4111111111111111"


EMAIL = "jane.doe@example.org"


JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


SECRET = "hunter2x"


@cache
def redactor(*, pii: bool = True) -> Redactor:
    return Redactor(pii=pii)


def text(value: str, *, pii: bool = True) -> str:
    return redactor(pii=pii).text(value)


def query(value: str, *, pii: bool = True) -> str:
    return redactor(pii=pii).query(value)
