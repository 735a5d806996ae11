"""What a type cannot say of a setting: each check yields faults that name their key."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cairn.config.sections import (
    DatabaseSection,
    FaucetSection,
    MinerSection,
    NodeSection,
    PeersSection,
    WebSection,
)
from cairn.consensus.crypto import decode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams

MAX_RUN_DIRECTORY_CHARACTERS = 80
"""A unix socket's whole path may have 107."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENDPOINT = re.compile(r"tcp://(\[[0-9a-fA-F:.]+\]|\*|[A-Za-z0-9.-]+):([0-9]{1,5})")
_CURVE_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_DATABASE_URLS = ("sqlite:///", "mysql+mysqldb://")
_ANY_ADDRESS = ("*", "0.0.0.0", "[::]")


def check_sections(sections: Mapping[str, Any], params: NetworkParams | None) -> list[str]:
    """The faults of sections whose values have the right types.

    `params` is None when the genesis file cannot be used; what depends on it is left out.
    """
    return [
        *_node_faults(sections["node"]),
        *_database_faults(sections["database"]),
        *_web_faults(sections["web"]),
        *_peers_faults(sections["peers"]),
        *_miner_faults(sections["miner"], params),
        *_faucet_faults(sections["faucet"], sections["node"]),
    ]


def _node_faults(node: NodeSection) -> Iterator[str]:
    if not _NAME.fullmatch(node.name):
        yield f"node.name: must be 1 to 64 letters, digits, '-', '.', '_', got {node.name!r}"
    length = len(str(node.run_directory))
    if length > MAX_RUN_DIRECTORY_CHARACTERS:
        yield (
            f"node.run_directory: has {length} characters, at most "
            f"{MAX_RUN_DIRECTORY_CHARACTERS}: unix sockets need short paths"
        )
    yield from _file_faults("node.account_passphrase_file", node.account_passphrase_file)


def _file_faults(key: str, path: Path | None) -> Iterator[str]:
    """A folder that this user may not look into hides its files: no fault, others may read."""
    with suppress(PermissionError):
        if path is not None and not path.is_file():
            yield f"{key}: {path}: no such file"


def _database_faults(database: DatabaseSection) -> Iterator[str]:
    for key, url in (("url", database.url), ("read_url", database.read_url)):
        if url and not url.startswith(_DATABASE_URLS):
            yield f"database.{key}: must begin with {' or '.join(_DATABASE_URLS)}"
        elif url and not _database_name(url):
            yield f"database.{key}: names no database: the file or name after the host is missing"


def _database_name(url: str) -> str:
    """The file or database a URL names, whatever characters its password has."""
    rest = url.partition("://")[2]
    if not url.startswith("sqlite:"):
        rest = rest.rpartition("@")[2]
    return rest.partition("?")[0].partition("/")[2]


def _web_faults(web: WebSection) -> Iterator[str]:
    yield from _url_faults("web.url", [web.url])
    yield from _file_faults("web.operator_token_file", web.operator_token_file)


def _peers_faults(peers: PeersSection) -> Iterator[str]:
    yield from _url_faults("peers.alphas", peers.alphas)
    for key in peers.allowed_keys:
        if not _CURVE_KEY.fullmatch(key):
            yield f"peers.allowed_keys: {key!r} is not a CURVE public key (Z85, 40 characters)"
    for text in peers.allowed_ranges:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield f"peers.allowed_ranges: {error}"
    for endpoint in peers.blocked_endpoints:
        yield from _endpoint_faults("peers.blocked_endpoints", endpoint)
    yield from _socket_faults("publish", peers.publish, peers.advertised_publish)
    yield from _socket_faults("request", peers.request, peers.advertised_request)
    if peers.publish == peers.request:
        yield f"peers.request: must differ from peers.publish, both are {peers.request}"


def _socket_faults(key: str, bound: str, advertised: str) -> Iterator[str]:
    faults = list(_endpoint_faults(f"peers.{key}", bound))
    yield from faults
    if advertised:
        yield from _endpoint_faults(f"peers.advertised_{key}", advertised)
        if _host(advertised) in _ANY_ADDRESS:
            yield f"peers.advertised_{key}: names every address, peers need one to connect to"
    elif not faults and _host(bound) in _ANY_ADDRESS:
        yield (
            f"peers.advertised_{key}: missing; peers.{key} binds every address, so say at which "
            f"one peers reach this node, as in tcp://node1.example.net:{bound.rpartition(':')[2]}"
        )


def _endpoint_faults(key: str, endpoint: str) -> Iterator[str]:
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or not 1 <= int(match[2]) <= 65_535:
        yield f"{key}: must be tcp://HOST:PORT with a port from 1 to 65535, got {endpoint!r}"


def _host(endpoint: str) -> str:
    match = _ENDPOINT.fullmatch(endpoint)
    return match[1] if match else ""


def _url_faults(key: str, urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname)
            sound = sound and parts.port != 0  # reading an impossible port raises
        except ValueError:
            sound = False
        if not sound:
            yield f"{key}: {url!r} is not an http(s) URL"


def _miner_faults(miner: MinerSection, params: NetworkParams | None) -> Iterator[str]:
    if miner.address and params is not None:
        try:
            decode_address(params.address_prefix, miner.address)
        except RuleError as error:
            yield f"miner.address: {error.detail}"


def _faucet_faults(faucet: FaucetSection, node: NodeSection) -> Iterator[str]:
    yield from _file_faults("faucet.key_file", faucet.key_file)
    account = node.account_key_file or node.data_directory / "keys" / "account.pem"
    if faucet.key_file == account:
        yield "faucet.key_file: is the node's own account; give the faucet one of its own"
