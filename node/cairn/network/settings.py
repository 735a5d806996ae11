"""What the operator decides about peers, and what the network shows of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cairn.network.keys import CurveKeyPair

ALLOWLIST = "allowlist"
OPEN = "open"


@dataclass(frozen=True, slots=True)
class AccountSigner:
    """The node's account as the network sees it: it can sign, the key stays elsewhere."""

    public_key: bytes
    """33 bytes, compressed SEC1."""
    sign: Callable[[bytes], bytes] = field(repr=False)
    """A message to its 64-byte signature."""


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """How this node takes part in its network."""

    curve: CurveKeyPair
    name: str = "node"
    url: str = "http://127.0.0.1:8000"
    """Of this node's web pages and API, told to peers."""
    version: str = "0"
    """Of the software, told to peers."""
    publish: str = "tcp://0.0.0.0:28600"
    """Where the PUB socket is bound, exactly so. Port `*` takes any free one."""
    request: str = "tcp://0.0.0.0:28601"
    """Where the ROUTER socket is bound."""
    advertised_publish: str = ""
    """What peers connect to; empty: the endpoint bound."""
    advertised_request: str = ""
    admission: str = ALLOWLIST
    """`allowlist`: only `allowed_keys` may connect; `open`: any key."""
    allowed_keys: tuple[str, ...] = ()
    """CURVE public keys, Z85."""
    alphas: tuple[str, ...] = ()
    """http(s) URLs of nodes to join at."""
    allowed_ranges: tuple[str, ...] = ()
    """CIDR ranges outside the public internet that node addresses may lie in."""
    max_peers: int = 64
    """Nodes this one connects to at the same time."""
    announce_seconds: float = 15.0
    """Between two announcements of the same tip."""
    blocked_endpoints: tuple[str, ...] = ()
    """`tcp://host:port`: never connected to, and whoever names one is not admitted."""
    request_timeout_seconds: float = 5.0
    """How long an answer of a peer may take; bodies of blocks may take twice as long."""


@dataclass(frozen=True, slots=True)
class PeerView:
    """A known node as the network sees it now."""

    curve_key: str
    name: str
    url: str
    publish: str
    request: str
    version: str
    state: str
    """`known`, `connected`, `disconnected` or `banned`."""
    connected: bool
    height: int
    """Of its tip as last announced."""
    lag_milliseconds: int
    """Round trip of the last hello; 0 when none was answered."""
    score: int
    """Misbehaviour points, 100 bans."""
    banned_until: int
    """Seconds since the epoch; 0 when not banned."""
    last_seen: int
    """Seconds since the epoch of its last message; 0 when none came."""
