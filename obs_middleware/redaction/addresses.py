"""How much of a client's address is shown: all of it, its network, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

ShowAddress = Callable[[str], "str | None"]

_PREFIXES = {4: 24, 6: 48}  # what names a network, and neither a household nor a person


def whole(address: str) -> str | None:
    """Return an address as it is."""
    return address


def nothing(address: str) -> str | None:
    """Return none."""
    return None


def network(address: str) -> str | None:
    """Return an address without what names a host; None where it is no IP address."""
    ip = _ip_of(address)
    if ip is None:
        return None
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:  # ::ffff:203.0.113.7
        ip = mapped
    return str(ip_network((int(ip), _PREFIXES[ip.version]), strict=False).network_address)


FORMS: dict[str, ShowAddress] = {"full": whole, "truncated": network, "none": nothing}


def _ip_of(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text holds, perhaps with a port or a zone; None where it holds none."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
