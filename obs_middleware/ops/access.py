"""Who may ask an endpoint: anybody, or who brings the bearer token (RFC 6750, section 2.1)."""

from __future__ import annotations

import hmac

import msgspec

from obs_middleware.request import RequestInfo


class AccessRule(msgspec.Struct, frozen=True):
    """Who may ask.

    Attributes:
        token: what an authorised caller brings as `Authorization: Bearer …`; None where nobody is authorised by one.
        is_required: who is not authorised gets 401; otherwise an answer without details.
    """

    token: str | None = None
    is_required: bool = False

    def authorises(self, info: RequestInfo) -> bool:
        """Tell whether the caller has brought the token; compared in constant time."""
        if self.token is None:
            return False
        scheme, _, given = (info.header("authorization") or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())
