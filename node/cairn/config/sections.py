"""What can be configured: a frozen dataclass a section, with every default."""

from dataclasses import dataclass, field
from pathlib import Path

from cairn.consensus.params import UNITS_PER_COIN, NetworkParams

DEFAULT_CONFIG_FILE = "/etc/cairn/cairn.toml"


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
    """`[database]`: SQLAlchemy URLs. They may hold a password, and are never shown."""

    url: str = field(default="", repr=False)
    """Default: an SQLite file cairn.db in the data directory."""
    read_url: str = field(default="", repr=False)
    """For the web tier, with a read-only account; default: the same as `url`."""
    migrate: str = field(default="listener", metadata={"choices": ("listener", "apart")})
    """Who brings the tables up to date: the listener at start, or `cairn db migrate` before."""


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

    publish: str = "tcp://127.0.0.1:28600"
    request: str = "tcp://127.0.0.1:28601"
    advertised_publish: str = ""
    """What peers connect to; default: `publish`, which must then name one address."""
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
    """A deeper reorganisation is not followed if it would undo blocks stored here for as many
    target intervals; it raises an alert."""


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
    heartbeat_seconds: int | None = field(default=None, metadata={"range": (0, 31_536_000)})
    """… or the tip is so old (0: never). None: as `default_heartbeat_seconds` has it."""


@dataclass(frozen=True, slots=True)
class FaucetSection:
    """`[faucet]`: coins for whoever asks, on networks whose coins are worth nothing."""

    key_file: Path | None = None
    """PEM of the account that pays; only the listener reads it. Without it there is no faucet."""
    amount: int = field(default=10 * UNITS_PER_COIN, metadata={"range": (1, 2**62)})
    """Base units a time."""
    seconds_per_address: int = field(default=3_600, metadata={"range": (1, 31_536_000)})
    """An address is paid once in so long; the last 10,000 addresses are remembered."""
    per_minute: int = field(default=30, metadata={"range": (1, 1_000)})
    """Payments to all together."""


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
    faucet: FaucetSection
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
