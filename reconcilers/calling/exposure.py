"""Which URLs and addresses may be called. Nobody out there may have the reconcilers ask something of the network that they
stand in: private addresses are refused, but for those that the operator allows."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from reconcilers.calling.ports import NOT_ALLOWED, Unsent

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER_BY_NAME = tuple(
    ip_network(text)
    for text in ("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::/32")
)
"""Where clouds answer their machines with credentials and the like, beside 169.254.0.0/16. The first is a public address."""
_NAME = re.compile(r"[A-Za-z0-9*]([A-Za-z0-9.*_-]{0,251}[A-Za-z0-9*.])?")
_PORTS = {"http": 80, "https": 443}
PORT_LIMIT = 65_535


@dataclass(frozen=True)
class Exposure:
    """What the operator allows: networks and names beside what is public, plain http, and ranges of ports.

    A name (`receiver`, `*.example.org`) may lead to private addresses; not to link-local ones, nor to those where clouds keep
    their metadata, which have to be allowed as a network.
    """

    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()
    plain: bool = False
    ports: tuple[tuple[int, int], ...] = ((80, 80), (443, 443))

    def refusal(self, url: str) -> Unsent | None:
        """Why a URL is not called, whatever its host's addresses are; None where that is up to them."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self.plain and parts.scheme == "http"):
            return Unsent(NOT_ALLOWED, f"{parts.scheme} is not allowed")
        port = parts.port or _PORTS[parts.scheme]
        if not any(first <= port <= last for first, last in self.ports):
            return Unsent(NOT_ALLOWED, f"the port {port} is not allowed")
        return None

    def permits(self, host: str, address: str) -> bool:
        """Whether this address of a host may be connected to."""
        try:
            means = _meant(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        is_named = any(fnmatchcase(host.lower().rstrip("."), name) for name in self.names)
        return all(self._permits(one, is_named=is_named) for one in means)

    def _permits(self, address: Address, *, is_named: bool) -> bool:
        if any(address in network for network in self.networks):
            return True
        if address.is_multicast or address.is_unspecified or address.is_link_local or _is_in(address, _NEVER_BY_NAME):
            return False
        is_local = isinstance(address, IPv6Address) and address.is_site_local  # deprecated, and "global" to Python
        return is_named or (address.is_global and not address.is_reserved and not is_local)


def allowed_in(text: str) -> tuple[tuple[Network, ...], tuple[str, ...]]:
    """The networks as CIDR, addresses among them, and the names of a text with commas between. Raises `ValueError`."""
    networks: list[Network] = []
    names: list[str] = []
    for word in (word.strip() for word in text.split(",")):
        if _NAME.fullmatch(word) is not None and not word.replace(".", "").isdigit():
            names.append(word.lower().rstrip("."))
        elif word:
            networks.append(ip_network(word))
    return tuple(networks), tuple(names)


def ports_in(text: str) -> tuple[tuple[int, int], ...]:
    """The ports, and ranges of them, of a text with commas between. Raises `ValueError`."""
    found = []
    for word in text.split(","):
        first, dash, last = (part.strip() for part in word.partition("-"))
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise ValueError(f"{word.strip()!r} is no port and no range of them, as 443 or 8000-8999")
        bounds = int(first), int(last if dash else first)
        if not 1 <= bounds[0] <= bounds[1] <= PORT_LIMIT:
            raise ValueError("a port is 1 to 65535, and a range begins with the lower one")
        found.append(bounds)
    return tuple(found)


def _meant(address: Address) -> list[Address]:
    """The address, and those of version 4 in it that a packet may go to in its place."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    within: list[Address] = [address]
    if address.sixtofour is not None:
        within.append(address.sixtofour)
    if address.teredo is not None:
        within.extend(address.teredo)
    return within


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
