"""Fills a store with blocks as the chain does, and compares what is in it."""

from dataclasses import dataclass, field

from cairn.chain.store import BlockEntry, BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.ledger import (
    EMPTY_ACCOUNT,
    Account,
    apply_block,
    genesis_accounts,
    revert_block,
    touched_addresses,
)
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.storage.chain_store import SqlChainStore
from tests.support.builders import make_params

RECEIVED_AT = 1_700_000_777


@dataclass
class Ledger:
    """A store, and what stores blocks in it as the chain does."""

    store: SqlChainStore
    params: NetworkParams = field(default_factory=make_params)
    works: dict[bytes, int] = field(default_factory=dict)
    """Chain work by block hash."""

    def start(self) -> Block:
        """Stores and connects the genesis block."""
        genesis = self.params.genesis_block()
        with self.store.transaction():
            self.insert(genesis)
            self.store.connect_block(genesis, genesis_accounts(self.params))
        return genesis

    def entry(self, block: Block, status: BlockStatus = BlockStatus.STORED) -> BlockEntry:
        """The block's entry, with the work of the chain below it."""
        below = self.works.get(block.header.previous_hash, 0)
        work = self.works.setdefault(block.hash, below + work_of(block.header.bits))
        return BlockEntry(block.hash, block.header, work, status)

    def insert(self, block: Block) -> None:
        """Stores a block; inside a transaction."""
        self.store.insert_block(self.entry(block), block, RECEIVED_AT)

    def connect(self, block: Block) -> dict[bytes, Account]:
        """Connects a stored block; inside a transaction. The accounts it left behind."""
        before = self.store.load_accounts(touched_addresses(block))
        after = apply_block(before, block, self.params)
        self.store.connect_block(block, after)
        return after

    def disconnect(self, block: Block) -> None:
        """Takes the tip off; inside a transaction."""
        after = self.store.load_accounts(touched_addresses(block))
        full = {address: after.get(address, EMPTY_ACCOUNT) for address in touched_addresses(block)}
        self.store.disconnect_block(block, revert_block(full, block))

    def extend(self, *blocks: Block) -> None:
        """Stores and connects blocks, each in its own transaction."""
        for block in blocks:
            with self.store.transaction():
                self.insert(block)
                self.connect(block)

    def keep(self, *blocks: Block) -> None:
        """Stores blocks without connecting them."""
        with self.store.transaction():
            for block in blocks:
                self.insert(block)
