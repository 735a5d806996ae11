"""What the chain needs of a database, and no more. `cairn.storage` provides it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cairn.consensus.block import Block, Header, decode_block
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import Account
from cairn.consensus.params import NetworkParams


class LedgerDamagedError(RuntimeError):
    """What is stored contradicts itself; no block and nobody outside is at fault."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: stop the listener and run `cairn doctor --repair`")


class ForeignTipError(RuntimeError):
    """Another process moved the stored tip."""


class BlockStatus(IntEnum):
    """What is known of a stored block. The values stand in the database."""

    STORED = 0
    """Sound header and body, not in the active chain; never connected, or disconnected."""
    ACTIVE = 1
    """In the chain whose state the accounts table holds."""
    INVALID = 2
    """Broke a rule when connected, or descends from one that did."""


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A stored block without its body."""

    hash: bytes
    header: Header
    chain_work: int
    """Expected hashes of the whole chain up to and including this block, below 2^256."""
    status: BlockStatus

    @property
    def height(self) -> int:
        """Blocks since genesis."""
        return self.header.height


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A waiting transaction as stored."""

    id: bytes
    raw: bytes
    received_at: int
    """Seconds since the epoch, by this node's clock."""


@dataclass(frozen=True, slots=True)
class Reorganisation:
    """A move of the tip that undid blocks."""

    happened_at: int
    """Seconds since the epoch, by this node's clock."""
    fork_height: int
    """Of the last block that both branches share."""
    fork_hash: bytes
    old_tip: bytes
    new_tip: bytes
    old_work: int
    """Of the chain up to the old tip; below 2^256, as the next."""
    new_work: int
    blocks_undone: int
    blocks_connected: int
    transactions_undone: int
    """In the undone blocks together; of these"""
    transactions_mined_again: int
    """are in the connected blocks too,"""
    transactions_returned: int
    """wait in the pool again. The others can no longer be mined, or found no room."""


class ChainStore(Protocol):
    """Blocks, accounts and waiting transactions in a database with transactions.

    One process writes. Methods that write are called inside `transaction()` and become
    durable together when it ends. A failing database raises the store's own error (never a
    RuleError), after which nothing of the transaction has happened.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """One database transaction: committed at the end, rolled back on an exception."""

    def tip(self) -> BlockEntry | None:
        """The active block of greatest height; None before genesis."""

    def entry(self, block_hash: bytes) -> BlockEntry | None:
        """The block with this hash, whatever its status."""

    def known_hashes(self, hashes: Collection[bytes]) -> set[bytes]:
        """Which of these blocks are stored, whatever their status."""

    def active_entries(self, first_height: int, count: int) -> list[BlockEntry]:
        """Active blocks from `first_height` up, at most `count`, in order of height."""

    def active_received_at(self, height: int) -> int | None:
        """When the active block at this height was stored (seconds since the epoch)."""

    def ancestors(self, block_hash: bytes, count: int) -> list[BlockEntry]:
        """The block and its ancestors by parent link, newest first, at most `count`."""

    def descendants(self, block_hash: bytes) -> list[bytes]:
        """The hashes of all stored blocks that build on this one, parents before children."""

    def heavier_stored(self, chain_work: int, after: BlockEntry | None = None) -> list[BlockEntry]:
        """Blocks of status STORED with more than this work, heaviest first, then by hash, at
        most 100; those that come after `after` in that order."""

    def lowest_side_block(self, max_height: int) -> bytes | None:
        """Of the blocks outside the active chain one of the least height, if at most that."""

    def delete_blocks(self, hashes: Collection[bytes]) -> None:
        """Forgets these blocks, none of which is active."""

    def load_block_bytes(self, block_hash: bytes) -> bytes | None:
        """The canonical bytes of a stored block."""

    def insert_block(self, entry: BlockEntry, block: Block, received_at: int) -> None:
        """Stores a block that is not yet there, with the entry's status STORED."""

    def mark_invalid(self, hashes: Collection[bytes]) -> None:
        """Sets the status of these blocks to INVALID."""

    def load_accounts(self, addresses: Collection[bytes]) -> dict[bytes, Account]:
        """The accounts among these addresses that exist (not all zero)."""

    def connect_block(self, block: Block, accounts: Mapping[bytes, Account]) -> None:
        """Makes a stored block the tip: status ACTIVE, its transactions indexed, these
        accounts' new values saved, its transactions taken out of the pool."""

    def disconnect_block(self, block: Block, accounts: Mapping[bytes, Account]) -> None:
        """Takes the tip off the active chain: status STORED, its transactions no longer
        indexed, these accounts' earlier values saved (all-zero accounts removed)."""

    def record_reorganisation(self, record: Reorganisation) -> None:
        """Keeps what a move of the tip undid, and forgets the oldest of many."""

    def mined_ids(self, ids: Collection[bytes]) -> set[bytes]:
        """Which of these transaction ids are in the active chain."""

    def load_pool(self) -> list[PoolRow]:
        """All waiting transactions, oldest first."""

    def change_pool(self, added: Sequence[PoolRow], removed: Collection[bytes]) -> None:
        """Removes ids (absent ones are ignored), then adds rows that are not there."""


def load_block(
    store: ChainStore, block_hash: bytes, params: NetworkParams, network_id: bytes
) -> Block:
    """A stored block. Raises LedgerDamagedError when its bytes are none."""
    raw = store.load_block_bytes(block_hash)
    try:
        return decode_block(raw or b"", network_id, params.max_block_bytes)
    except RuleError as error:  # of our own disk, not of anyone who offered something
        raise LedgerDamagedError(f"stored block {block_hash.hex()} is damaged ({error})") from None
