"""How many known nodes one party may have: records cost nothing, accounts and addresses do."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from cairn.network.addresses import Network, parse_endpoint
from cairn.network.records import NodeRecord

MAX_PER_ACCOUNT = 4
MAX_PER_NEIGHBOURHOOD = 32
STALE_SECONDS = 86_400
"""A node that did not prove itself for so long may have to give its place to another."""
ESTABLISHED_SECONDS = 86_400
"""A node known for so long, and proven, is preferred to newer ones."""


def neighbourhood(record: NodeRecord, ranges: Sequence[Network]) -> str:
    """What is likely under one party's control: a /24, a /48, or the last two labels of a name.

    Empty within `ranges`, where the operator has said that nodes are.
    """
    endpoint = parse_endpoint(record.request)
    address = endpoint.address
    if address is None:
        return ".".join(endpoint.host.lower().removesuffix(".").split(".")[-2:])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in ranges):
        return ""
    return subnet(address)


def subnet(address: IPv4Address | IPv6Address) -> str:
    """The /24 or /48 that the address is in: whoever has one address may have all of these."""
    prefix = 48 if isinstance(address, IPv6Address) else 24
    return str(ip_network((address, prefix), strict=False))
