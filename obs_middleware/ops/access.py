"""Who may ask an endpoint: who brings a bearer token (RFC 6750, section 2.1), comes from a network, both, or anybody.

What came through a proxy comes from anywhere. So a page that neither a token nor networks guard is for direct callers,
and is no public page when a proxy is put before the app.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from obs_middleware.errors import ConfigError
from obs_middleware.ops.refusals import Refusals
from obs_middleware.proxies import Networks, Proxies, proxy_header
from obs_middleware.reply import TEXT_HEADERS, Reply

if TYPE_CHECKING:
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings


_NOWHERE = Networks((), setting="")


class AccessRule(msgspec.Struct, frozen=True):
    """Who may ask.

    Attributes:
        name: what the names of its settings begin with: `metrics` for `metrics_token`.
        tokens: digests of those that an authorised caller may bring as `Authorization: Bearer …`.
        networks: those that an authorised caller may come from.
        mode: `both`: a caller needs token and network; `open`: anybody may ask; `auto`: one of what is set.
        is_required: who is not authorised is refused; otherwise the answer has no details.
        is_open_directly: whether callers that came through no proxy are authorised where nothing is set.
    """

    name: str
    tokens: tuple[bytes, ...]
    networks: Networks
    mode: str
    proxies: Proxies
    refusals: Refusals
    is_required: bool
    is_open_directly: Callable[[], bool]

    def refusal(self, info: RequestInfo, path: str) -> Reply | None:
        """Return the answer to a caller who is not authorised; None to one who is."""
        if self.mode == "open":
            return None
        is_inside = bool(self.networks) and self.proxies.is_within(self.networks, info)
        needs_both = self.mode == "both"
        proxy = proxy_header(info)
        if not needs_both and (is_inside or self._is_open_to_direct(proxy)):
            return None
        if not self.tokens:
            return self._forbidden(info, path, proxy)
        given = _bearer(info)
        if given and (seconds := self.refusals.seconds_to_wait(info)):
            headers = {**TEXT_HEADERS, "Retry-After": str(seconds)}
            self.refusals.count("too_many")
            return Reply(429, headers, b"Too Many Requests\n")
        if self._is_token(given) and (is_inside or not needs_both):
            return None
        self._note(
            info, path, "wrong_token" if given else "no_token", f"{self.name}_token", is_guess=given != ""
        )
        return Reply(401, {**TEXT_HEADERS, "WWW-Authenticate": "Bearer"}, b"Unauthorized\n")

    def _is_open_to_direct(self, proxy: str | None) -> bool:
        is_guarded = self.is_required and (self.tokens or self.networks)
        return proxy is None and not is_guarded and self.is_open_directly()

    def _is_token(self, given: str) -> bool:
        """Tell whether it is one of the tokens; it takes the same time for any that is given."""
        digest = _digest(given)
        return any([hmac.compare_digest(digest, token) for token in self.tokens])  # noqa: C419 (all are compared)

    def _forbidden(self, info: RequestInfo, path: str, proxy: str | None) -> Reply:
        name = self.name
        if self.networks:
            reason, why = "network", f"{name}_networks does not hold the caller's address"
            if proxy is not None:
                why += f", or trusted_proxies does not hold the proxy that has added {proxy}"
        else:
            reason = "proxy"
            why = (
                f"the request came through a proxy, which has added {proxy}: {name}_token or {name}_networks say who "
                f"may ask through one, {name}_access=open lets everybody"
            )
        self._note(info, path, reason, why)
        return Reply(403, TEXT_HEADERS, f"Forbidden: {why}\n".encode())

    def _note(self, info: RequestInfo, path: str, reason: str, why: str, *, is_guess: bool = False) -> None:
        if self.is_required or is_guess:  # probes without details are for everybody
            self.refusals.note(info, path, reason, why, is_guess=is_guess)


class Access:
    """Make the rules of one Observer.

    Args:
        count: is called with the reason of each refusal.
        redacted: returns a client's address as it may be shown.
    """

    def __init__(
        self, settings: Settings, *, count: Callable[[str], None], redacted: Callable[[str], str | None]
    ) -> None:
        self.proxies = Proxies(Networks(settings.trusted_proxies, setting="trusted_proxies"))
        self._settings = settings
        self._refusals = Refusals(self.proxies, count=count, redacted=redacted)

    def rule(self, name: str, *, is_required: bool, is_open_directly: Callable[[], bool]) -> AccessRule:
        """Return the rule of what the settings `…_token`, `…_networks` and `…_access` say.

        Raises:
            ConfigError: a network is none, or `both` is wanted where only one of the two is set.
        """
        token, networks, mode = (
            getattr(self._settings, f"{name}_{one}") for one in ("token", "networks", "access")
        )
        if mode == "both" and not (token and networks):
            raise ConfigError(
                f"{name}_access=both wants {name}_token and {name}_networks, got only one of them or none"
            )
        return AccessRule(
            name,
            tuple(_digest(one) for one in (token or "").split()),
            Networks(networks, setting=f"{name}_networks"),
            mode,
            self.proxies,
            self._refusals,
            is_required,
            is_open_directly,
        )

    def token_rule(self, name: str) -> AccessRule:
        """Return the rule of what changes the service: without the token nobody may, whatever else is open."""
        rule = self.rule(name, is_required=True, is_open_directly=lambda: False)
        return rule if rule.mode == "both" else msgspec.structs.replace(rule, mode="auto", networks=_NOWHERE)


def _bearer(info: RequestInfo) -> str:
    """Return the token that a caller has brought; empty where there is none."""
    scheme, _, given = (info.header("authorization") or "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _digest(token: str) -> bytes:
    """Return a digest, so that tokens of any length are compared in the same time."""
    return sha256(token.encode(errors="backslashreplace")).digest()
