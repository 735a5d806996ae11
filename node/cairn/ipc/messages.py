"""Typed requests, replies and events on the local sockets, as tagged msgpack structs."""

import msgspec

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_SUBMITTED = 500
"""Transactions in one submission."""
MAX_MINE_BLOCKS = 1_000
MINER_MODES = ("auto", "always", "off")
MAX_LOG_LINES = 500
"""Kept by the listener, and in one Log."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of everything sent; the tag is the class name."""


class Problem(msgspec.Struct, frozen=True):
    """Why something was refused."""

    code: str
    """Stable: a `Rule` value, or one of `listener-unavailable`, `internal-error`, ...."""
    detail: str
    numbers: dict[str, int | str] = {}


# -- requests, and the reply each gets (or Refused) ------------------------------------------


class SubmitTransactions(Message, frozen=True):
    """Canonical bytes of 1 to 500 transactions. Reply: Submitted, sent once durable."""

    transactions: list[bytes]


class SubmitResult(msgspec.Struct, frozen=True):
    """The fate of one submitted transaction."""

    id: bytes | None
    """32 bytes; None when the bytes were not a transaction."""
    problem: Problem | None = None


class Submitted(Message, frozen=True):
    """One result for each transaction, in order."""

    results: list[SubmitResult]


class GetTemplate(Message, frozen=True):
    """A block to mine that pays `recipient` (20 bytes). Reply: Template."""

    recipient: bytes


class Template(Message, frozen=True):
    """A header waiting for its nonce, and what the miner needs to decide whether to start."""

    template_id: int
    header: bytes
    """96 bytes, nonce zero."""
    waiting: int
    """Transactions in the pool that could be mined now."""
    oldest_waiting_since: int
    """When the oldest of them arrived, seconds since the epoch; 0 when none waits."""
    tip_timestamp: int


class SubmitNonce(Message, frozen=True):
    """A nonce that solves a template. Reply: NonceAccepted, once the block is durable."""

    template_id: int
    nonce: int


class NonceAccepted(Message, frozen=True):
    """The block is the new tip."""

    block_hash: bytes
    height: int


class MinerReport(Message, frozen=True):
    """The miner's state, sent every few seconds. Reply: Done."""

    mode: str
    hashes_per_second: int
    requested_blocks_left: int


class Mine(Message, frozen=True):
    """Ask the miner for `blocks` (1 … 1000) now. Reply: Done, or Refused `miner-unavailable`."""

    blocks: int


class SetMinerMode(Message, frozen=True):
    """Have miners mine in this mode until the listener ends. Reply: Done."""

    mode: str | None
    """`auto`, `always` or `off`; None: as their configuration has it."""


class GetLog(Message, frozen=True):
    """What the listener logged last, from this level on. Reply: Log."""

    level: str
    """`info`, `warning` or `error`; below what `log.level` lets through there is nothing."""
    limit: int
    """1 … 500, of the latest lines."""


class LogLine(msgspec.Struct, frozen=True):
    """One record of the log."""

    time: int
    """Milliseconds since the epoch."""
    level: str
    text: str
    """One line without control characters; a traceback is left to the log itself."""


class Log(Message, frozen=True):
    """Oldest first."""

    lines: list[LogLine]


class Drip(Message, frozen=True):
    """Have the faucet pay `recipient` (20 bytes). Reply: Dripped, sent once durable.

    Refused `faucet-disabled`, `faucet-empty`, or `too-many-requests`, whose number
    `retry_after_seconds` tells how long.
    """

    recipient: bytes


class Dripped(Message, frozen=True):
    """The faucet's transaction waits for a block."""

    id: bytes
    amount: int
    """Base units."""


class GetStatus(Message, frozen=True):
    """Reply: Status."""


class PeerStatus(msgspec.Struct, frozen=True):
    """One peer as the listener sees it now."""

    curve_key: str
    name: str
    connected: bool
    height: int
    score: int


class Alert(msgspec.Struct, frozen=True):
    """Something the operator should know of."""

    code: str
    detail: str
    since: int
    """Seconds since the epoch."""


class Status(Message, frozen=True):
    """What only the running listener knows; everything else is in the database."""

    version: str
    started_at: int
    height: int
    tip: bytes
    chain_work: bytes
    """Big-endian, 32 bytes."""
    sync_state: str
    """`syncing` or `synced`."""
    best_peer_height: int
    pool_transactions: int
    pool_bytes: int
    peers: list[PeerStatus]
    alerts: list[Alert]
    miner_mode: str | None
    """None when no miner reported in the last 15 s."""
    miner_hashes_per_second: int
    admission: str
    recipient_address: bytes
    """The node's own account, 20 bytes."""
    wanted_miner_mode: str | None = None
    """What SetMinerMode asked for; None: miners do as they are configured."""


class JoinNode(Message, frozen=True):
    """A newcomer's signed node record, msgpack as in `cairn.network.records`. Reply: Joined."""

    record: bytes


class Joined(Message, frozen=True):
    """This node's own record first, then those of the nodes it knows."""

    records: list[bytes]


class AddNode(Message, frozen=True):
    """Join at the alpha with this http(s) URL. Reply: Done with how many nodes were learned."""

    url: str


class SetBan(Message, frozen=True):
    """Ban (24 h) or unban the node with this CURVE key (Z85). Reply: Done."""

    curve_key: str
    banned: bool


class Done(Message, frozen=True):
    """The request was carried out."""

    detail: str = ""


class Refused(Message, frozen=True):
    """The request was not carried out."""

    problem: Problem


Request = (
    SubmitTransactions | GetTemplate | SubmitNonce | MinerReport | Mine | GetStatus
    | JoinNode | AddNode | SetBan | SetMinerMode | GetLog | Drip
)  # fmt: skip
Reply = (
    Submitted | Template | NonceAccepted | Status | Joined | Log | Dripped | Done | Refused
)  # fmt: skip

# -- events, published with the struct's tag as topic ------------------------------------------


class TipChanged(Message, frozen=True):
    """The active chain has a new tip. `disconnected` > 0: a reorganisation undid that many."""

    block_hash: bytes
    height: int
    transactions: int
    timestamp: int
    disconnected: int
    fork_height: int


class TransactionsAdded(Message, frozen=True):
    """Transactions newly in the pool."""

    ids: list[bytes]
    pool_transactions: int


class PeerChanged(Message, frozen=True):
    """A peer came, went or was banned (`state`: connected, disconnected, banned)."""

    curve_key: str
    name: str
    state: str


class MineRequested(Message, frozen=True):
    """The operator asks for this many blocks now."""

    blocks: int


class MinerModeSet(Message, frozen=True):
    """The operator asks for this mode; None: as configured."""

    mode: str | None


Event = TipChanged | TransactionsAdded | PeerChanged | MineRequested | MinerModeSet
