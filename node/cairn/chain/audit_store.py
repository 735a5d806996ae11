"""What the doctor needs of a database: every row as it stands, trusted in nothing.

Apart from `ChainStore`, because the audit must see what no healthy node would ask for.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A row of `blocks` without its bytes. Any field may be damaged."""

    hash: bytes
    height: int
    previous_hash: bytes
    header: bytes
    chain_work: int
    status: int
    transaction_count: int
    chain_transactions: int
    """Of the chain up to and including the block."""
    size_bytes: int
    fees: int
    coinbase_recipient: bytes
    coinbase_amount: int
    coinbase_extra: bytes
    received_at: int
    raw_length: int
    """Of the bytes that are there, not what a column says."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row of the index of mined transactions."""

    height: int
    position: int
    id: bytes
    sender: bytes
    recipient: bytes
    amount: int
    fee: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class StoredPoolRow:
    """A row of the pool with the columns that repeat what its bytes say."""

    id: bytes
    sender: bytes
    recipient: bytes
    sequence: int
    amount: int
    fee: int
    fee_rate: int
    """Base units per byte times 2^20, rounded down."""
    size_bytes: int
    raw: bytes
    received_at: int


class AuditStore(Protocol):
    """Reads one unchanging view of the database, in pages, whatever its size."""

    def network_id(self) -> bytes | None:
        """What the database says it belongs to; None when it does not say."""

    def block_count(self) -> int:
        """Rows of `blocks`."""

    def blocks(self) -> Iterator[StoredBlock]:
        """Every block, by height, then hash."""

    def block_bytes(self, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored bytes of these blocks; some hundred at a time at most."""

    def index_rows(self) -> Iterator[IndexRow]:
        """The whole index of mined transactions, by height, then position."""

    def accounts(self) -> Iterator[tuple[bytes, Account]]:
        """Every stored account, by address."""

    def pool(self) -> Iterator[StoredPoolRow]:
        """Every waiting transaction, by id."""

    def mined_ids(self, ids: Collection[bytes]) -> set[bytes]:
        """Which of these the index of mined transactions has."""


class RepairStore(AuditStore, Protocol):
    """Rewrites what follows from the stored bytes. All inside one `transaction()`."""

    def transaction(self) -> AbstractContextManager[None]:
        """One database transaction, alone in writing: all of it happens, or nothing."""

    def rewrite_block(self, block: Block) -> None:
        """Sets the columns that repeat what the block's bytes say."""

    def set_chain_sums(self, block_hash: bytes, chain_work: int, chain_transactions: int) -> None:
        """Sets what one block's columns say of the chain up to it."""

    def set_status(self, hashes: Sequence[bytes], status: BlockStatus) -> None:
        """Sets the status of these blocks."""

    def delete_blocks(self, hashes: Sequence[bytes]) -> None:
        """Forgets blocks."""

    def clear_index(self) -> None:
        """Empties the index of mined transactions."""

    def insert_index(self, blocks: Sequence[Block]) -> None:
        """Indexes these blocks' transactions."""

    def replace_accounts(self, accounts: Iterable[tuple[bytes, Account]]) -> None:
        """Makes these all the accounts there are."""

    def replace_pool_rows(
        self, removed: Collection[bytes], added: Sequence[tuple[Transaction, int]]
    ) -> None:
        """Deletes rows by id, then adds transactions with the time they were received."""
