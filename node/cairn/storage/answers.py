"""What `Queries` answers with."""

from dataclasses import dataclass
from enum import StrEnum

from cairn.chain.store import BlockStatus, Reorganisation
from cairn.consensus.block import Header
from cairn.consensus.ledger import Account


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """A stored block without its transactions."""

    hash: bytes
    header: Header
    chain_work: int
    """Expected hashes of the chain up to and including the block."""
    status: BlockStatus
    transaction_count: int
    chain_transactions: int
    """Transactions of the chain up to and including the block."""
    size_bytes: int
    fees: int
    """Base units. On a block that was never active, any of its amounts may be cut to 2^63-1."""
    coinbase_recipient: bytes
    coinbase_amount: int
    coinbase_extra: bytes
    received_at: int
    """Seconds since the epoch, by this node's clock."""

    @property
    def height(self) -> int:
        """Blocks since genesis."""
        return self.header.height


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction of the active chain."""

    id: bytes
    raw: bytes
    height: int
    position: int
    """Within the block, from 0."""
    block_hash: bytes
    block_time: int
    """The block's timestamp, seconds since the epoch."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Where a list of an account's transactions goes on."""
        return self.height, self.position


@dataclass(frozen=True, slots=True)
class Supply:
    """The sum of all balances after a block."""

    block_hash: bytes
    height: int
    units: int
    """Base units."""


@dataclass(frozen=True, slots=True)
class FeeRange:
    """What a set of transactions pays: the least and the most of them, base units."""

    low: int
    high: int


class PoolOrder(StrEnum):
    """How to list waiting transactions."""

    FEE_RATE = "fee-rate"
    """Dearest per byte first: about the order of mining."""
    AGE = "age"
    """Longest waiting first."""
    SENDER = "sender"
    """Each sender's together, by sequence."""


@dataclass(frozen=True, slots=True)
class WaitingTransaction:
    """A transaction of the pool."""

    id: bytes
    raw: bytes
    received_at: int
    """Seconds since the epoch, by this node's clock."""
    sender: bytes
    sequence: int
    fee_rate: int
    """Base units per byte times 2^20, rounded down."""

    def cursor(self, order: PoolOrder) -> tuple[int | bytes, int | bytes]:
        """Where a list in this order goes on."""
        if order is PoolOrder.SENDER:
            return self.sender, self.sequence
        return (self.fee_rate if order is PoolOrder.FEE_RATE else self.received_at), self.id


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """How much waits for a block."""

    transactions: int
    size_bytes: int
    oldest_received_at: int | None
    """Seconds since the epoch; None for an empty pool."""


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as confirmed, and what the pool would make of it. Base units."""

    confirmed: Account
    pending_sent: int
    """Amounts and fees of all its waiting transactions."""
    pending_received: int
    """Amounts waiting to be sent to it, by itself too."""
    pending_count: int
    """Waiting transactions it sent."""
    next_sequence: int
    """What its next transaction carries: after those waiting without a gap."""

    @property
    def pending_balance(self) -> int:
        """The balance once all that waits is mined."""
        return self.confirmed.balance - self.pending_sent + self.pending_received


@dataclass(frozen=True, slots=True)
class SideBranch:
    """Stored blocks outside the active chain, up to one that none builds on."""

    tip: bytes
    status: BlockStatus
    """Of the tip."""
    height: int
    """Of the tip."""
    chain_work: int
    """Of the chain up to the tip."""
    last_received_at: int
    """When the tip was stored; seconds since the epoch, by this node's clock, as the next."""
    first_received_at: int
    blocks: int
    """From the fork on; when `fork_height` is None, at least so many."""
    transactions: int
    """In these blocks."""
    fork_height: int | None
    """Of the active block it builds on; None when that lies too deep to be looked for."""
    fork_hash: bytes | None
    fork_work: int | None
    """Of the chain up to there."""


@dataclass(frozen=True, slots=True)
class NumberedReorganisation:
    """A kept reorganisation and its number, which only grows."""

    number: int
    record: Reorganisation
