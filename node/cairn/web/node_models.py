"""As `models`, for the node itself: its status, health and events, and the nodes it knows."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cairn.web.models import Address, Amount, Count, Cursor, Hash, Hex, Model, Time

# -- status -----------------------------------------------------------------------------------


class Tip(Model, frozen=True):
    """The last block of the active chain."""

    hash: Hash
    height: Count
    timestamp: Time


class PoolTotals(Model, frozen=True):
    """What waits for a block."""

    transactions: Count
    bytes: Count


class PeerCounts(Model, frozen=True):
    """How many nodes are known, and connected now."""

    known: Count
    connected: Count


class MinerState(Model, frozen=True):
    """What the miner last reported."""

    mode: Annotated[str | None, Meta(description="auto, always, off; null: no miner reports.")]
    hashes_per_second: Count


class AlertView(Model, frozen=True):
    """Something the operator should know of."""

    code: str
    detail: str
    since: Time


class Versions(Model, frozen=True):
    """Software and protocol."""

    node: str
    listener: Annotated[str | None, Meta(description="null: the listener does not answer.")]
    protocol: int
    api: int


class StatusView(Model, frozen=True):
    """The node at a glance."""

    name: str
    network: str
    network_id: Hash
    address_prefix: str
    symbol: str
    height: Count
    tip: Tip
    chain_work: Amount
    bits: Annotated[str, Meta(description="Compact target of the tip, 8 hex digits.")]
    target_interval_seconds: Count
    hash_rate: Annotated[
        Amount, Meta(description="Hashes per second, estimated from the last blocks.")
    ]
    transactions: Annotated[Count, Meta(description="In the active chain.")]
    supply: Annotated[Amount, Meta(description="Sum of all balances, base units.")]
    pool: PoolTotals
    peers: PeerCounts
    sync_state: Literal["syncing", "synced", "unknown"]
    best_peer_height: Count
    listener: Literal["running", "unavailable"]
    miner: MinerState
    admission: Literal["allowlist", "open"]
    recipient: Annotated[Address | None, Meta(description="The node's own account.")]
    started_at: Annotated[Time | None, Meta(description="When the listener started.")]
    faucet: Annotated[
        Amount | None, Meta(description="What the faucet pays at a time; null: there is none.")
    ]
    max_data_bytes: Count
    min_fee_per_byte: Count
    max_submitted: Annotated[int, Meta(description="Transactions in one POST.")]
    versions: Versions
    alerts: list[AlertView]


# -- nodes ------------------------------------------------------------------------------------


class NodeView(Model, frozen=True):
    """A known node and how it is doing."""

    curve_key: Annotated[str, Meta(description="Z85, 40 characters.")]
    name: str
    url: str
    publish: str
    request: str
    address: Address
    version: str
    state: Annotated[str, Meta(description="known, connected, disconnected or banned.")]
    connected: bool
    height: Count
    lag_milliseconds: Count
    score: Count
    banned_until: Time
    first_seen: Time
    last_seen: Time
    record: Annotated[Hex, Meta(description="Its signed node record, as received.")]


class NodePage(Model, frozen=True):
    """Known nodes by key."""

    items: list[NodeView]
    next: Cursor


class NodeRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A newcomer's signed record (protocol, section 8)."""

    record: Annotated[str, Meta(description="Hex, at most 16 KiB of bytes.")]


class NodeRecords(Model, frozen=True):
    """This node's own record first, then those it knows."""

    items: list[NodeRecord]
    next: None = None


class JoinRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A node to join at."""

    url: Annotated[str, Meta(description="http(s) URL of its API.")]


class MineRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Blocks to mine now."""

    blocks: Annotated[int, Meta(description="1 to 1000.")] = 1


class MinerModeRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the miner should mine until the listener restarts."""

    mode: Annotated[
        Literal["auto", "always", "off"] | None, Meta(description="null: as it is configured.")
    ]


class BanRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A node to ban or unban."""

    curve_key: Annotated[str, Meta(description="Z85, 40 characters.")]
    banned: Annotated[bool, Meta(description="false: its ban is lifted.")] = True


class LogLineView(Model, frozen=True):
    """One record of the listener's log."""

    time_milliseconds: Annotated[Count, Meta(description="Since the epoch.")]
    level: str
    text: str


class LogView(Model, frozen=True):
    """Newest first."""

    items: list[LogLineView]
    next: None = None


class FaucetRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who should be paid."""

    address: str


class FaucetView(Model, frozen=True):
    """The faucet's transaction, which waits for a block."""

    id: Hash
    address: Address
    amount: Amount


class DoneView(Model, frozen=True):
    """It was carried out, or is under way."""

    detail: str


# -- health -----------------------------------------------------------------------------------


class CheckView(Model, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


class HealthView(Model, frozen=True):
    """All checks; the answer's status is 200 when every one is ok, else 503."""

    status: Literal["ok", "failing"]
    checks: list[CheckView]


# -- events -----------------------------------------------------------------------------------


class NewBlockEvent(Model, frozen=True):
    """`new-block`: the active chain has a new tip."""

    hash: Hash
    height: Count
    transactions: Count
    timestamp: Time


class NewTransactionEvent(Model, frozen=True):
    """`new-transaction`: transactions came to the pool; at most 100 ids are named."""

    ids: list[Hash]
    count: Count
    pool_transactions: Count


class ReorgEvent(Model, frozen=True):
    """`reorg`: blocks above `fork_height` were undone for a branch with more work."""

    hash: Hash
    height: Count
    disconnected: Count
    fork_height: Count


class PeerEvent(Model, frozen=True):
    """`peer`: a node came, went or was banned."""

    curve_key: str
    name: str
    state: str
