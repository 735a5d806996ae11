"""One frozen `Config` from a TOML file plus `CAIRN_*` variables, checked whole at start.

A value `publish` in section `[peers]` is overridden by `CAIRN_PEERS_PUBLISH`. Every fault is
found in one pass and named by its key, so that one look mends a configuration.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from cairn.consensus.errors import RuleError
from cairn.consensus.params import REGTEST_GENESIS, NetworkParams, parse_genesis

DEFAULT_CONFIG_FILE = "/etc/cairn/cairn.toml"
Z85_KEY_CHARACTERS = 40


class ConfigError(Exception):
    """The configuration cannot be used; the message lists every fault, a line each."""


@dataclass(frozen=True, slots=True)
class NodeSection:
    """`[node]`: who this node is and where its files are."""

    name: str = "node"
    """Shown to people and peers: letters, digits, '-', '.', '_', at most 64."""
    network: str = "regtest"
    """`regtest`, or the path of a genesis file."""
    data_directory: Path = Path("/var/lib/cairn")
    """Holds keys/ and, by default, the database."""
    run_directory: Path = Path("/run/cairn")
    """Holds the local sockets; a short path, unix sockets allow about 100 characters."""
    account_key_file: Path | None = None
    """Default: keys/account.pem in the data directory; made at first start."""
    account_passphrase_file: Path | None = None
    curve_key_file: Path | None = None
    """Default: keys/curve.key in the data directory; made at first start."""


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """`[database]`: SQLAlchemy URLs."""

    url: str = ""
    """Default: an SQLite file cairn.db in the data directory."""
    read_url: str = ""
    """For the web tier, with a read-only account; default: the same as `url`."""


@dataclass(frozen=True, slots=True)
class WebSection:
    """`[web]`: the HTTP side."""

    url: str = "http://127.0.0.1:8000"
    """Where others reach this node's pages and API; told to peers."""
    operator_token_file: Path | None = None
    """Without it, operator calls are refused."""
    max_event_streams: int = field(default=64, metadata={"range": (0, 10_000)})
    """Open server-sent-event connections per web worker."""


@dataclass(frozen=True, slots=True)
class PeersSection:
    """`[peers]`: the two public CURVE sockets and who may use them."""

    publish: str = "tcp://0.0.0.0:28600"
    request: str = "tcp://0.0.0.0:28601"
    advertised_publish: str = ""
    """What peers connect to; default: `publish`, which must then name a real address."""
    advertised_request: str = ""
    admission: str = field(default="allowlist", metadata={"choices": ("allowlist", "open")})
    allowed_keys: tuple[str, ...] = ()
    """CURVE public keys (Z85, 40 characters) admitted in allowlist mode."""
    alphas: tuple[str, ...] = ()
    """http(s) URLs of nodes to join at."""
    allowed_ranges: tuple[str, ...] = ()
    """CIDR ranges outside the public internet that node addresses may lie in."""
    max_peers: int = field(default=64, metadata={"range": (1, 1_000)})
    announce_seconds: int = field(default=15, metadata={"range": (1, 3_600)})
    blocked_endpoints: tuple[str, ...] = ()
    """Endpoints never connected to, whatever the book says (`tcp://host:port`)."""


@dataclass(frozen=True, slots=True)
class ChainSection:
    """`[chain]`."""

    max_reorg_blocks: int = field(default=100, metadata={"range": (1, 1_000_000)})
    """A deeper reorganisation is not followed; it raises an alert."""


@dataclass(frozen=True, slots=True)
class PoolSection:
    """`[pool]`: which transactions this node keeps waiting."""

    max_bytes: int = field(default=64 * 1024 * 1024, metadata={"range": (100_000, 2**32)})
    min_fee_per_byte: int = field(default=1, metadata={"range": (0, 2**32)})
    expiry_seconds: int = field(default=86_400, metadata={"range": (60, 31_536_000)})


@dataclass(frozen=True, slots=True)
class MinerSection:
    """`[miner]`."""

    mode: str = field(default="auto", metadata={"choices": ("auto", "always", "off")})
    address: str = ""
    """Where rewards go. Empty: the node's own account."""
    workers: int = field(default=1, metadata={"range": (1, 256)})
    min_transactions: int = field(default=10, metadata={"range": (1, 1_000_000)})
    """In `auto`: start when so many wait …"""
    max_wait_seconds: int = field(default=10, metadata={"range": (0, 86_400)})
    """… or the oldest has waited so long …"""
    heartbeat_seconds: int = field(default=600, metadata={"range": (0, 31_536_000)})
    """… or the tip is so old (0: never)."""


@dataclass(frozen=True, slots=True)
class LogSection:
    """`[log]`."""

    level: str = field(default="info", metadata={"choices": ("debug", "info", "warning", "error")})
    format: str = field(default="auto", metadata={"choices": ("auto", "text", "json", "journal")})
    """`auto`: journal under systemd, text otherwise."""


@dataclass(frozen=True, slots=True)
class Config:
    """A node's whole configuration. Made by `load_config`."""

    node: NodeSection
    database: DatabaseSection
    web: WebSection
    peers: PeersSection
    chain: ChainSection
    pool: PoolSection
    miner: MinerSection
    log: LogSection
    params: NetworkParams
    """The network's rules, from the genesis file."""

    @property
    def account_key_file(self) -> Path:
        """PEM file of the node's account."""
        return self.node.account_key_file or self.node.data_directory / "keys" / "account.pem"

    @property
    def curve_key_file(self) -> Path:
        """File of the node's CURVE key pair."""
        return self.node.curve_key_file or self.node.data_directory / "keys" / "curve.key"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL for the process that writes."""
        return self.database.url or f"sqlite:///{self.node.data_directory / 'cairn.db'}"

    @property
    def read_database_url(self) -> str:
        """SQLAlchemy URL for processes that only read."""
        return self.database.read_url or self.database_url

    @property
    def request_socket(self) -> str:
        """ZMQ endpoint of the listener's local ROUTER."""
        return f"ipc://{self.node.run_directory / 'listener.sock'}"

    @property
    def event_socket(self) -> str:
        """ZMQ endpoint of the listener's local PUB."""
        return f"ipc://{self.node.run_directory / 'events.sock'}"


_SECTIONS = {
    "node": NodeSection,
    "database": DatabaseSection,
    "web": WebSection,
    "peers": PeersSection,
    "chain": ChainSection,
    "pool": PoolSection,
    "miner": MinerSection,
    "log": LogSection,
}


def load_config(
    path: Path | str | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The configuration from `path` (or `CAIRN_CONFIG`, or /etc/cairn/cairn.toml if there).

    Raises ConfigError listing every unknown key, wrong type, value out of range and
    unusable genesis file.
    """
    named = path or environment.get("CAIRN_CONFIG")
    file = Path(named or DEFAULT_CONFIG_FILE)
    table = _read_table(file, required=named is not None)
    faults = [f"{name}: unknown section or key" for name in sorted(set(table) - set(_SECTIONS))]
    sections: dict[str, Any] = {}
    for name, section_type in _SECTIONS.items():
        raw = table.get(name, {})
        if not isinstance(raw, dict):
            faults.append(f"{name}: must be a section, [{name}]")
            raw = {}
        sections[name] = _parse_section(name, section_type, raw, environment, faults)
    faults += _unknown_variables(environment)
    params = _load_params(sections["node"].network, faults)
    faults += _check_together(sections)
    if faults or params is None:
        raise ConfigError(
            "\n".join([f"{len(faults)} fault(s) in the configuration {file}:", *faults])
        )
    return Config(**sections, params=params)


def _read_table(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{file}: no such file; name one with --config FILE") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None


def _parse_section(
    name: str,
    section_type: type[Any],
    raw: dict[str, Any],
    environment: Mapping[str, str],
    faults: list[str],
) -> Any:
    hints = get_type_hints(section_type)
    known = {field.name: field for field in fields(section_type)}
    faults += [f"{name}.{key}: unknown key" for key in sorted(set(raw) - set(known))]
    values = {}
    for key, definition in known.items():
        variable = f"CAIRN_{name}_{key}".upper()
        try:
            if variable in environment:
                value = _from_text(environment[variable], hints[key])
            elif key in raw:
                value = raw[key]
            else:
                continue
            values[key] = _checked(value, hints[key], definition)
        except ValueError as error:
            where = variable if variable in environment else f"{name}.{key}"
            faults.append(f"{where}: {error}")
    return section_type(**values)


def _from_text(text: str, hint: Any) -> Any:
    if hint is int:
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"must be an integer, got {text!r}") from None
    if get_origin(hint) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(value: Any, hint: Any, definition: Field[Any]) -> Any:
    if isinstance(hint, UnionType):
        hint = get_args(hint)[0]
    if hint is int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be an integer, got {value!r}")
        low, high = definition.metadata.get("range", (0, 2**63 - 1))
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}, got {value}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"must be a list of strings, got {value!r}")
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string, got {value!r}")
    choices = definition.metadata.get("choices")
    if choices and value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, got {value!r}")
    return Path(value) if hint is Path else value


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {
        f"CAIRN_{name}_{field.name}".upper()
        for name, section_type in _SECTIONS.items()
        for field in fields(section_type)
    }
    prefixes = tuple(f"CAIRN_{name.upper()}_" for name in _SECTIONS)
    return [
        f"{variable}: unknown variable"
        for variable in sorted(environment)
        if variable.startswith(prefixes) and variable not in known
    ]


def _load_params(network: str, faults: list[str]) -> NetworkParams | None:
    try:
        if network == "regtest":
            return parse_genesis(REGTEST_GENESIS)
        return parse_genesis(Path(network).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RuleError) as error:
        faults.append(f"node.network: genesis file {network}: {error}")
        return None


def _check_together(sections: Mapping[str, Any]) -> list[str]:
    faults = []
    node, web, peers = sections["node"], sections["web"], sections["peers"]
    if not 1 <= len(node.name) <= 64 or not _is_plain_name(node.name):
        faults.append("node.name: 1 to 64 letters, digits, '-', '.', '_'")
    if len(str(node.run_directory)) > 80:
        faults.append("node.run_directory: longer than 80 characters, sockets need a short path")
    for url in (web.url, *peers.alphas):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            faults.append(f"web.url, peers.alphas: {url!r} is not an http(s) URL")
    faults += [
        f"peers.allowed_keys: {key!r} is not a CURVE public key of {Z85_KEY_CHARACTERS} characters"
        for key in peers.allowed_keys
        if len(key) != Z85_KEY_CHARACTERS
    ]
    return faults


def _is_plain_name(name: str) -> bool:
    return all(
        character.isascii() and (character.isalnum() or character in "-._") for character in name
    )
