"""A small honest ledger in memory behind `LedgerPort`, built on the real consensus rules."""

from collections.abc import Callable, Sequence

from cairn.chain.blockchain import BlockFate, BlockResult
from cairn.consensus.block import Block, decode_block
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import Account, apply_block, genesis_accounts
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import (
    ParentContext,
    check_block_sanity,
    check_header,
    check_signature,
    check_transaction_sanity,
    genesis_context,
)
from cairn.network.port import TipView


class MemoryLedger:
    """Keeps every block and the accounts after it; what peers asked of it is on record."""

    def __init__(self, params: NetworkParams, clock: Callable[[], float]) -> None:
        self.params = params
        genesis = params.genesis_block()
        self.network_id = genesis.hash
        self.pool: dict[bytes, Transaction] = {}
        self.served: list[bytes] = []
        """Hashes of blocks that peers asked for."""
        self.offered: list[bytes] = []
        """Hashes of blocks that came from peers, in the order they were offered."""
        self.on_transactions: Callable[[list[bytes]], None] = lambda raws: None
        self.on_tip: Callable[[TipView], None] = lambda tip: None
        self.lowest_fork = 0
        """Branches that fork below this height are refused."""
        self.refused: list[bytes] = []
        """Tips of branches that were."""
        self._clock = clock
        self._blocks = {genesis.hash: genesis}
        self._contexts = {genesis.hash: genesis_context(params)}
        self._work = {genesis.hash: work_of(genesis.header.bits)}
        self._states: dict[bytes, dict[bytes, Account]] = {genesis.hash: genesis_accounts(params)}
        self._active = [genesis.hash]

    # -- what tests use ------------------------------------------------------------------------

    @property
    def height(self) -> int:
        return len(self._active) - 1

    def extend(self, blocks: Sequence[Block]) -> None:
        """Takes blocks the test made, without telling anybody."""
        for block in blocks:
            assert self._take(block).fate is BlockFate.ACCEPTED

    def mine_in(self, block: Block) -> None:
        """Takes a block as if this node had mined it: the tip is announced."""
        self.extend([block])
        self.on_tip(self.tip())

    def admit(self, transaction: Transaction) -> None:
        """Takes a transaction as if a client had posted it: it is announced."""
        self.pool[transaction.id] = transaction
        self.on_transactions([transaction.raw])

    # -- LedgerPort ----------------------------------------------------------------------------

    def tip(self) -> TipView:
        tip = self._active[-1]
        return TipView(tip, self.height, self._work[tip], self._blocks[tip].raw[:96])

    async def locator(self) -> list[bytes]:
        newest_first = self._active[::-1]
        sparse = [newest_first[10 + 2**step] for step in range(20) if 10 + 2**step < self.height]
        return [*newest_first[:10], *sparse, self._active[0]]

    async def headers_after(self, locator: Sequence[bytes], limit: int) -> list[bytes]:
        for block_hash in locator:
            if block_hash in self._active:
                start = self._active.index(block_hash) + 1
                following = self._active[start : start + limit]
                return [self._blocks[each].raw[:96] for each in following]
        return []

    async def context_of(self, block_hash: bytes) -> tuple[ParentContext, int] | None:
        if block_hash not in self._contexts:
            return None
        return self._contexts[block_hash], self._work[block_hash]

    async def is_active(self, block_hash: bytes) -> bool:
        return block_hash in self._active

    async def refuses(self, fork_height: int, tip_hash: bytes, chain_work: int) -> bool:
        if fork_height >= self.lowest_fork:
            return False
        self.refused.append(tip_hash)
        return True

    async def missing_blocks(self, hashes: Sequence[bytes]) -> list[bytes]:
        return [each for each in hashes if each not in self._blocks]

    async def blocks(self, hashes: Sequence[bytes], max_bytes: int) -> list[bytes]:
        self.served += hashes
        found: list[bytes] = []
        for each in hashes:
            if each in self._blocks:
                max_bytes -= len(self._blocks[each].raw)
                if max_bytes < 0:
                    break
                found.append(self._blocks[each].raw)
        return found

    async def pool_ids(self, limit: int) -> list[bytes]:
        return list(self.pool)[:limit]

    async def transactions(self, ids: Sequence[bytes], max_bytes: int) -> list[bytes]:
        found: list[bytes] = []
        for each in ids:
            if each in self.pool:
                max_bytes -= len(self.pool[each].raw)
                if max_bytes < 0:
                    break
                found.append(self.pool[each].raw)
        return found

    async def unknown_transactions(self, ids: Sequence[bytes]) -> list[bytes]:
        return [each for each in ids if each not in self.pool]

    async def accept_block(self, raw: bytes) -> BlockResult:
        try:
            block = decode_block(raw, self.network_id, self.params.max_block_bytes)
        except RuleError as error:
            return BlockResult(BlockFate.INVALID, error)
        self.offered.append(block.hash)
        before = self._active[-1]
        result = self._take(block)
        if self._active[-1] != before:
            self.on_tip(self.tip())
        return result

    async def accept_transactions(self, raws: Sequence[bytes]) -> list[RuleError | None]:
        problems: list[RuleError | None] = []
        admitted: list[bytes] = []
        for raw in raws:
            try:
                self._admit(raw)
                admitted.append(raw)
                problems.append(None)
            except RuleError as error:
                problems.append(error)
        if admitted:
            self.on_transactions(admitted)
        return problems

    def _admit(self, raw: bytes) -> None:
        transaction = decode_transaction(raw, self.network_id)
        check_transaction_sanity(transaction, self.params)
        check_signature(transaction, self.network_id)
        if transaction.id in self.pool:
            raise RuleError(Rule.POOL_DUPLICATE, "waits already")
        account = self._states[self._active[-1]].get(transaction.sender, Account(0, 0))
        if transaction.cost > account.balance:
            raise RuleError(Rule.BALANCE_INSUFFICIENT, "too little")
        self.pool[transaction.id] = transaction

    def _take(self, block: Block) -> BlockResult:
        if block.hash in self._blocks:
            return BlockResult(BlockFate.DUPLICATE)
        parent = block.header.previous_hash
        if parent not in self._blocks:
            return BlockResult(BlockFate.ORPHAN, RuleError(Rule.PARENT_UNKNOWN, "no parent"))
        try:
            context = self._contexts[parent]
            check_header(block.header, block.hash, context, self.params, int(self._clock()))
            check_block_sanity(block, self.params)
            for transaction in block.transactions:
                check_signature(transaction, self.network_id)
            changed = apply_block(self._states[parent], block, self.params)
        except RuleError as error:
            too_new = error.rule is Rule.TIMESTAMP_TOO_NEW
            return BlockResult(BlockFate.LATER if too_new else BlockFate.INVALID, error)
        self._keep(block, context, changed)
        if self._work[block.hash] <= self._work[self._active[-1]]:
            return BlockResult(BlockFate.STORED)
        self._follow(block)
        return BlockResult(BlockFate.ACCEPTED)

    def _keep(self, block: Block, parent: ParentContext, changed: dict[bytes, Account]) -> None:
        self._blocks[block.hash] = block
        self._contexts[block.hash] = parent.extended_by(block.header, block.hash)
        self._work[block.hash] = self._work[parent.hash] + work_of(block.header.bits)
        self._states[block.hash] = {**self._states[parent.hash], **changed}

    def _follow(self, block: Block) -> None:
        branch = [block.hash]
        while branch[-1] not in self._active:
            branch.append(self._blocks[branch[-1]].header.previous_hash)
        fork = self._active.index(branch.pop())
        self._active[fork + 1 :] = branch[::-1]
        for transaction in block.transactions:
            self.pool.pop(transaction.id, None)
