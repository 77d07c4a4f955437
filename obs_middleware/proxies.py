"""Whose request it is where proxies stand between: the chain of `Forwarded` and `X-Forwarded-For`, read right to left.

A proxy writes the address of its own client at the right end of the chain. So the chain is believed from its right end,
as long as it names proxies that the setting `trusted_proxies` names. Nothing at its left end is believed, because
clients write what they like there (RFC 7239, section 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from obs_middleware.errors import ConfigError

if TYPE_CHECKING:
    from obs_middleware.request import RequestInfo

Address = IPv4Address | IPv6Address

UNIX = "unix"  # a peer without an address: it came by a socket in the file system

_MOST_CHARACTERS = 8192  # of a chain; a longer one is not believed
_LONGEST_ADDRESS = 64
_NAMES = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_FAMILY = "x-forwarded-"
_FAMILY_NAMES = tuple(
    _FAMILY + name for name in ("proto", "host", "port", "server", "prefix", "by", "scheme", "ssl")
)
# A pair of `Forwarded` and the sign behind it. No part can take over what the next one takes, so it is of linear time.
_pair = re.compile(
    r"""(?:[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?[ \t]*([,;]|\Z)""",
    re.DOTALL,
)
_escaped = re.compile(r"\\(.)", re.DOTALL)


class Networks:
    """Networks in which an address may be.

    Args:
        texts: each an address, or a network with a prefix (CIDR); `unix` is a peer without an address.
        setting: the name of the setting that holds them.

    Raises:
        ConfigError: one is neither.
    """

    def __init__(self, texts: Iterable[str], *, setting: str) -> None:
        texts = tuple(texts)
        self.has_unix = UNIX in texts
        self._networks = [_network(text, setting) for text in texts if text != UNIX]

    def __bool__(self) -> bool:
        return bool(self._networks) or self.has_unix

    def holds(self, address: Address | None) -> bool:
        """Tell whether an address is in one of them; None is that of a peer without one."""
        if address is None:
            return self.has_unix
        return any(address in network for network in self._networks)


class Proxies:
    """Tell whose request it is.

    Args:
        trusted: the proxies whose entries in a chain are believed.
    """

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted

    def __bool__(self) -> bool:
        return bool(self._trusted)

    def client(self, info: RequestInfo) -> str | None:
        """Return the address of the client, as far as the chain is believed; for lines and spans."""
        known, address, is_from_proxy = _peer_of(info)
        if self._believes(known, address, is_from_proxy):
            for name, read in _CHAINS:
                value = info.header(name)
                if value:
                    found = self._last_believed(read(value), address)[0]
                    return known if found is None else str(found)
        return known

    def is_within(self, networks: Networks, info: RequestInfo) -> bool:
        """Tell whether a request comes from networks for certain: each chain says so, and is understood."""
        known, address, is_from_proxy = _peer_of(info)
        if address is None and not _is_unix(known):
            return False  # a name, which nobody has looked up
        if proxy_header(info) is None:
            return networks.holds(address)
        if not self._believes(known, address, is_from_proxy):
            return False
        chains = [read(value) for name, read in _CHAINS if (value := info.header(name))]
        ends = [self._last_believed(chain, address) for chain in chains]
        return bool(ends) and all(is_client and networks.holds(end) for end, is_client in ends)

    def _believes(self, known: str | None, address: Address | None, is_from_proxy: bool) -> bool:
        if address is None:
            return self._trusted.has_unix and _is_unix(known)
        return bool(self._trusted) and (is_from_proxy or self._trusted.holds(address))

    def _last_believed(
        self, chain: Iterable[str | None], last: Address | None
    ) -> tuple[Address | None, bool]:
        """Return the leftmost address that is believed, and whether it is the client's."""
        is_client = False
        for text in chain:
            address = address_of(text)
            if address is None:  # "unknown", "_hidden", or no address at all
                return last, False
            last, is_client = address, True
            if not self._trusted.holds(address):
                break
        return last, is_client


def _peer_of(info: RequestInfo) -> tuple[str | None, Address | None, bool]:
    """Return what is known of the peer, its address, and whether the server has been told of it by a proxy.

    A server that believes its own proxies, as uvicorn does, puts the client's address there, with a port 0 that no
    connection has.
    """
    known: object = info.peer[0] if info.peer else None
    if not isinstance(known, str):
        return None, None, False
    return known, address_of(known), info.peer is not None and info.peer[1:] == (0,)


def _is_unix(known: str | None) -> bool:
    return not known or known.startswith("/")


def proxy_header(info: RequestInfo) -> str | None:
    """Return the name of a header that only proxies add; None where a request has none of them."""
    for name in (*_NAMES, *_FAMILY_NAMES):
        if info.header(name) is not None:
            return name
    return next((name for name in info.header_names() if name.startswith(_FAMILY)), None)


def address_of(text: str | None) -> Address | None:
    """Return the address that a text is, perhaps with a port, brackets or a zone; None where it is none."""
    if not text or len(text) > _LONGEST_ADDRESS:
        return None
    text = text.strip()
    if text.startswith("["):
        text, closed, rest = text[1:].partition("]")
        if not closed or (rest and not (rest.startswith(":") and rest[1:])):
            return None
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:203.0.113.7
    return address if mapped is None else mapped


def _forwarded_for(value: str) -> Iterator[str | None]:
    """Yield the `for` of each element, the last one first; None where it has none or several (RFC 7239, section 4).

    A chain that can't be read as a whole has one element, of which nothing is known.
    """
    elements: list[str | None] = []
    found: list[str] = []
    position = 0
    while position < len(value) <= _MOST_CHARACTERS:
        pair = _pair.match(value, position)
        if pair is None:
            break
        name, quoted, plain, sign = pair.groups()
        if name is not None and name.lower() == "for":
            found.append(plain if quoted is None else _escaped.sub(r"\1", quoted))
        position = pair.end()
        if sign != ";":
            elements.append(found[0] if len(found) == 1 else None)
            found = []
    if position < len(value):
        elements = [None]
    return reversed(elements)


def _forwarded_for_list(value: str) -> Iterator[str | None]:
    """Yield the entries of `X-Forwarded-For`, the last one first."""
    parts = value[-_MOST_CHARACTERS:].split(",")
    if len(value) > _MOST_CHARACTERS:
        parts[0] = ""  # cut
    for part in reversed(parts):
        text = part.strip().strip('"')
        if text:
            yield text


def _network(text: str, setting: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"{setting} must be networks such as '10.0.0.0/8,::1', or unix, got {text!r}"
        ) from None


# Proxies that set the first one are many more. Who sets the second one has to remove the first one of its client's.
_CHAINS = (("x-forwarded-for", _forwarded_for_list), ("forwarded", _forwarded_for))
