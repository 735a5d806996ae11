"""Where nodes may be: endpoints, the ranges they may lie in, and names made into numbers.

A node tells others where to connect. Without a rule it could point them at their own
loopback services or a cloud's metadata address, so every address is judged twice: as
written in the record, and again after a name has been resolved.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from cairn.consensus.errors import Rule, RuleError
from cairn.network.threads import call_in_thread

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_ENDPOINT_CHARACTERS = 280
_ENDPOINT = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+):([0-9]{1,5})", re.ASCII)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_NAT64 = IPv6Network("64:ff9b::/96")
_LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed `tcp://host:port`."""

    host: str
    """A hostname, or a numeric address without brackets."""
    port: int

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else self._plain()

    def _plain(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The numeric address, or None when the host is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def parse_ranges(ranges: Sequence[str]) -> tuple[Network, ...]:
    """CIDR texts as networks. Raises ValueError naming the first bad one."""
    return tuple(ip_network(text, strict=False) for text in ranges)


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint `tcp://host:port`. Raises RuleError `node-record-invalid`."""
    match = _ENDPOINT.fullmatch(text) if len(text) <= MAX_ENDPOINT_CHARACTERS else None
    if match is None:
        raise _invalid(f"endpoint {text[:80]!r} is not tcp://host:port")
    port = int(match[2])
    if not 1 <= port <= 65_535:
        raise _invalid(f"port {port} is not from 1 to 65535")
    host = match[1].strip("[]")
    endpoint = Endpoint(host, port)
    if endpoint.address is None and (match[1] != host or not is_hostname(host)):
        raise _invalid(f"host {host[:80]!r} is neither an address nor a host name")
    return endpoint


def is_hostname(host: str) -> bool:
    """Whether the text is a DNS name that cannot be mistaken for an odd numeric address."""
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not _NUMBER.fullmatch(labels[-1])  # `127.1` and `0x7f000001` mean loopback to libc


def is_routable(address: Address, ranges: Sequence[Network]) -> bool:
    """Whether a node may be at this address: public, or in a range the network allows."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_routable(address.ipv4_mapped, ranges)
        if address.sixtofour is not None:
            return is_routable(address.sixtofour, ranges)
        if address in _NAT64:
            return is_routable(IPv4Address(int(address) & 0xFFFFFFFF), ranges)
        if address.scope_id is not None:
            return False
    if address.is_unspecified or address.is_multicast:
        return False
    if any(address in network for network in ranges):
        return True
    return address.is_global and not address.is_reserved


def check_endpoint(text: str, ranges: Sequence[Network]) -> Endpoint:
    """Raises RuleError `node-record-invalid` or `address-not-routable`; gives the endpoint.

    A name is judged by its form here, and by what it resolves to in `resolve_endpoint`.
    """
    endpoint = parse_endpoint(text)
    address = endpoint.address
    if address is None:
        name = endpoint.host.lower().removesuffix(".")
        local = name == "localhost" or name.endswith(".localhost")
        address = _LOOPBACK if local else None
    if address is not None and not is_routable(address, ranges):
        raise _not_routable(endpoint.host)
    return endpoint


async def resolve_endpoint(text: str, ranges: Sequence[Network]) -> str:
    """The endpoint with a numeric, routable host. Raises RuleError, or OSError from DNS.

    Every address of a name must be routable: one bad one among them is an attempt to slip
    past the rule.
    """
    endpoint = check_endpoint(text, ranges)
    if endpoint.address is not None:
        return str(endpoint)
    found = await call_in_thread(
        lambda: socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM), "resolve"
    )
    hosts = [str(entry[4][0]) for entry in found]
    for host in hosts:
        if not is_routable(ip_address(host), ranges):
            raise _not_routable(f"{endpoint.host} ({host})")
    if not hosts:
        raise OSError(f"{endpoint.host} has no address")
    return str(Endpoint(hosts[0], endpoint.port))


def _invalid(detail: str) -> RuleError:
    return RuleError(Rule.NODE_RECORD_INVALID, detail)


def _not_routable(host: str) -> RuleError:
    return RuleError(
        Rule.ADDRESS_NOT_ROUTABLE,
        f"{host} is not in the public internet, nor in this network's allowed ranges",
    )
