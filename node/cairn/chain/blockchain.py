"""The chain of most work: which blocks are stored, which are followed, what state results.

Every change of the active chain, and of the pool with it, is one database transaction. A
block that breaks a rule leaves the tip where it was.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cairn.chain.accounts import AccountCache
from cairn.chain.orphans import OrphanBlocks, check_orphan
from cairn.chain.outcomes import (
    BlockFate,
    BlockResult,
    BranchInvalidError,
    ChainChange,
    RefusedReorganisation,
)
from cairn.chain.pool import Pool
from cairn.chain.settled import BRANCH_STEP, SettledHistory
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import (
    BlockEntry,
    BlockStatus,
    ChainStore,
    ForeignTipError,
    LedgerDamagedError,
    load_block,
)
from cairn.chain.waiting import Progress, in_chain_order, no_progress, restore_pool, unminable
from cairn.consensus.block import Block
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import (
    Account,
    apply_block,
    genesis_accounts,
    revert_block,
    touched_addresses,
)
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.transaction import Transaction
from cairn.consensus.validation import (
    MEDIAN_TIME_BLOCKS,
    ParentContext,
    check_block_sanity,
    check_header,
)

__all__ = ["BlockFate", "BlockResult", "Blockchain", "ChainChange"]

_REMEMBERED_CONTEXTS = 4_096


class Blockchain:
    """Blocks in a store, the pool that goes with them, and the rules that move the tip.

    Not thread-safe: the writer alone calls it. A store error leaves the object out of step
    with the database; call `reload` before anything else then.
    """

    def __init__(
        self,
        store: ChainStore,
        params: NetworkParams,
        pool: Pool,
        signatures: SignatureChecker,
        max_reorg_blocks: int = 100,
        settle_seconds: int = 0,
        progress: Progress = no_progress,
    ) -> None:
        """A reorganisation of more than `max_reorg_blocks` is refused if it would undo a block
        that has been stored here for `settle_seconds` (0: any). `progress`: see `Progress`."""
        self.params = params
        self.genesis = params.genesis_block()
        self.network_id = self.genesis.hash
        self.pool = pool
        self._store = store
        self._signatures = signatures
        self._progress = progress
        self._history = SettledHistory(store, max_reorg_blocks, settle_seconds)
        self._orphans = OrphanBlocks()
        self._contexts: OrderedDict[bytes, ParentContext] = OrderedDict()
        self._accounts = AccountCache(store)
        self._tip: BlockEntry | None = None

    @property
    def tip(self) -> BlockEntry:
        """The active chain's last block."""
        if self._tip is None:
            raise RuntimeError("Blockchain.reload has not been called")
        return self._tip

    @property
    def refused_reorganisation(self) -> RefusedReorganisation | None:
        """The branch of most work that policy keeps the node from following."""
        return self._history.refused

    def reload(self, now: int) -> None:
        """Reads tip and pool from the store, and makes the genesis block in an empty one."""
        self._contexts.clear()
        self._accounts.clear()
        self._history.reset()
        self._tip = self._store.tip() or self._create_genesis(now)
        checks = self.params, self.network_id, self._signatures
        restore_pool(self.pool, self._store, *checks, self._progress)
        self._follow_best(now)

    def _create_genesis(self, now: int) -> BlockEntry:
        header = self.genesis.header
        entry = BlockEntry(self.genesis.hash, header, work_of(header.bits), BlockStatus.STORED)
        with self._store.transaction():
            self._store.insert_block(entry, self.genesis, now)
            self._store.connect_block(self.genesis, genesis_accounts(self.params))
        return replace(entry, status=BlockStatus.ACTIVE)

    # -- mining ------------------------------------------------------------------------------

    def minable(self, max_bytes: int) -> tuple[Transaction, ...]:
        """Waiting transactions for the next block, at most `max_bytes` together, in order.

        Judged once more as the block will be: one that the chain would refuse costs itself
        and those after it their place in the pool, not the block.
        """
        while True:
            chosen = self.pool.select(max_bytes)
            accounts = self.accounts_of({transaction.sender for transaction in chosen})
            culprits = unminable(chosen, accounts, self.params, self._signatures)
            if not culprits:
                return tuple(chosen)
            with self._store.transaction():
                self._store.change_pool((), self.pool.drop(culprits).removed)

    # -- questions ---------------------------------------------------------------------------

    def change_since(self, tip_hash: bytes) -> ChainChange | None:
        """How the chain moved since this block was its tip: for those who were not told.

        None when it did not move, or so far that nobody can have followed.
        """
        disconnected: list[Block] = []
        fork = self._store.entry(tip_hash)
        while fork is not None and fork.status is not BlockStatus.ACTIVE:
            disconnected.append(self._load_block(fork.hash))
            fork = self._store.entry(fork.header.previous_hash)
        if fork is None or not 0 < self.tip.height - fork.height <= BRANCH_STEP:
            return None
        entries = self._store.active_entries(fork.height + 1, BRANCH_STEP)
        connected = tuple(self._load_block(entry.hash) for entry in entries)
        accounts: set[bytes] = set().union(
            *(touched_addresses(block) for block in (*disconnected, *connected))
        )
        returned = self._waiting_of(disconnected)
        states = self.accounts_of(accounts)
        return ChainChange(fork, tuple(disconnected), connected, states, returned)

    def context_of(self, block_hash: bytes) -> ParentContext | None:
        """What a child of this block is judged against; None when the block is not stored."""
        if block_hash in self._contexts:
            return self._contexts[block_hash]
        entries = self._store.ancestors(block_hash, MEDIAN_TIME_BLOCKS)
        if not entries:
            return None
        times = tuple(entry.header.timestamp for entry in reversed(entries))
        return self._remember(ParentContext(block_hash, entries[0].height, times[-1], times))

    def check_database(self) -> None:
        """Raises the store's error when it does not answer, ForeignTipError when another process
        has moved the tip: there is to be one writer."""
        stored = self._store.tip()
        if stored is None or stored.hash != self.tip.hash:
            found = stored.hash.hex() if stored else "nothing"
            raise ForeignTipError(
                f"the stored tip is {found}, this process left {self.tip.hash.hex()}: another "
                "process writes in this database; give every node one of its own, then run "
                "`cairn doctor --repair`"
            )

    def refuses(self, fork_height: int, tip_hash: bytes, chain_work: int, now: int) -> bool:
        """Whether policy keeps the node from ever following a branch, known by its headers, that
        forks from the active block at this height. If so, and it has more work, that is noted.
        """
        if fork_height >= self._history.floor(self.tip, now):
            return False
        if chain_work > self.tip.chain_work:
            self._history.note_refused(tip_hash, chain_work)
        return True

    def accounts_of(self, addresses: Collection[bytes]) -> dict[bytes, Account]:
        """The confirmed states of these accounts, those lately asked for from memory."""
        return self._accounts.of(addresses)

    # -- accepting ---------------------------------------------------------------------------

    def accept_block(self, block: Block, now: int) -> BlockResult:
        """Checks, stores and perhaps follows a block, then the orphans that waited for it."""
        result = self._accept_one(block, now)
        if result.fate not in (BlockFate.ACCEPTED, BlockFate.STORED):
            return result
        changes = list(result.changes)
        parents = [block.hash]
        while parents:
            for orphan in self._orphans.take_children(parents.pop()):
                followed = self._accept_one(orphan, now)
                changes += followed.changes
                if followed.fate in (BlockFate.ACCEPTED, BlockFate.STORED):
                    parents.append(orphan.hash)
        return replace(result, changes=tuple(changes))

    def _accept_one(self, block: Block, now: int) -> BlockResult:
        known = self._store.entry(block.hash)
        if known is not None and known.status is not BlockStatus.INVALID:
            return BlockResult(BlockFate.DUPLICATE)
        try:
            if known is not None:
                raise RuleError(Rule.BLOCK_INVALID, f"{block.hash.hex()} is known to be invalid")
            parent = self._store.entry(block.header.previous_hash)
            if parent is None:
                return self._hold_orphan(block)
            if parent.status is BlockStatus.INVALID:
                raise RuleError(
                    Rule.PARENT_INVALID, f"parent {parent.hash.hex()} is known to be invalid"
                )
            self._check_without_state(block, now)
        except RuleError as error:
            too_new = error.rule is Rule.TIMESTAMP_TOO_NEW
            return BlockResult(BlockFate.LATER if too_new else BlockFate.INVALID, error)
        work = parent.chain_work + work_of(block.header.bits)
        entry = BlockEntry(block.hash, block.header, work, BlockStatus.STORED)
        if not self._history.admits(entry, parent, self.tip, now):
            if work > self.tip.chain_work:
                self._history.note_refused(entry.hash, work)
            return BlockResult(BlockFate.REFUSED)
        return self._store_and_follow(entry, block, now)

    def _hold_orphan(self, block: Block) -> BlockResult:
        check_orphan(block, self.params)
        self._orphans.hold(block)
        parent = block.header.previous_hash.hex()
        problem = RuleError(Rule.PARENT_UNKNOWN, f"parent {parent} is not known here")
        return BlockResult(BlockFate.ORPHAN, problem)

    def _check_without_state(self, block: Block, now: int) -> None:
        context = self.context_of(block.header.previous_hash)
        if context is None:
            raise LedgerDamagedError("a stored parent has no ancestors")
        check_header(block.header, block.hash, context, self.params, now)
        check_block_sanity(block, self.params)

    def _store_and_follow(self, entry: BlockEntry, block: Block, now: int) -> BlockResult:
        try:
            with self._store.transaction():
                self._store.insert_block(entry, block, now)
                change = self._switch_to(entry, now, {block.hash: block})
                if change is not None and not change.disconnected:
                    self._history.prune(self._history.floor(self.tip, now))
        except BranchInvalidError as error:
            # Rolled back whole, the new block included: keep it, so that it is known as bad.
            with self._store.transaction():
                self._store.insert_block(entry, block, now)
                self._mark_invalid(error.block_hash)
            changes = self._follow_best(now)
            return BlockResult(BlockFate.INVALID, error.problem, changes)
        if change is None:
            return BlockResult(BlockFate.STORED)
        self._moved(change, entry)
        return BlockResult(BlockFate.ACCEPTED, None, (change,))

    def _follow_best(self, now: int) -> tuple[ChainChange, ...]:
        """Switches to stored branches with more work, heaviest first, until none is left."""
        changes = []
        refused: set[bytes] = set()
        last: BlockEntry | None = None
        while entries := self._store.heavier_stored(self.tip.chain_work, last):
            last = entries[-1]
            for entry in entries:
                if entry.hash in refused:  # below a tip that was looked at
                    continue
                try:
                    with self._store.transaction():
                        change = self._switch_to(entry, now, {}, refused)
                except BranchInvalidError as error:
                    with self._store.transaction():
                        self._mark_invalid(error.block_hash)
                    last = None
                    break
                if change is not None:
                    self._moved(change, entry)
                    changes.append(change)
                    refused.clear()
                    last = None
                    break
        return tuple(changes)

    def _moved(self, change: ChainChange, tip: BlockEntry) -> None:
        """The database transaction is committed: what is in memory may follow."""
        self._tip = replace(tip, status=BlockStatus.ACTIVE)
        refused = self._history.refused
        if refused is not None and refused.chain_work <= tip.chain_work:
            self._history.refused = None
        if change.disconnected:
            self._history.forget()
        self._accounts.follow(change.accounts)
        for block in change.connected:
            parent = self._contexts.get(block.header.previous_hash)
            if parent is not None:  # from memory alone: nothing may fail after the commit
                self._remember(parent.extended_by(block.header, block.hash))

    def _remember(self, context: ParentContext) -> ParentContext:
        self._contexts[context.hash] = context
        if len(self._contexts) > _REMEMBERED_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    # -- moving the tip, inside a database transaction ----------------------------------------

    def _switch_to(
        self,
        entry: BlockEntry,
        now: int,
        at_hand: Mapping[bytes, Block],
        refused: set[bytes] | None = None,
    ) -> ChainChange | None:
        """Makes `entry` the tip if it has more work and policy allows; None if it stays.
        Of a branch that policy refuses, `refused` takes the hashes."""
        if entry.chain_work <= self.tip.chain_work:
            return None
        floor = self._history.floor(self.tip, now)
        branch, fork = self._history.branch_of(entry, self.tip, floor)
        if fork is None or fork.height < floor:
            self._history.note_refused(entry.hash, entry.chain_work)
            if refused is not None:
                refused.update(step.hash for step in branch)
            return None
        depth = self.tip.height - fork.height
        disconnected: list[Block] = []
        connected: list[Block] = []
        accounts: dict[bytes, Account] = {}
        for active in self._store.ancestors(self.tip.hash, depth):
            self._tell_step(len(disconnected), depth + len(branch))
            disconnected.append(self._disconnect(active, accounts))
        for done, step in enumerate(branch, len(disconnected)):
            self._tell_step(done, depth + len(branch))
            block = at_hand.get(step.hash) or self._load_block(step.hash)
            try:
                self._connect(block, accounts)
            except RuleError as error:
                raise BranchInvalidError(step.hash, error) from error
            connected.append(block)
        returned = self._move_pool(disconnected, connected, accounts, now)
        change = ChainChange(fork, tuple(disconnected), tuple(connected), accounts, returned)
        if disconnected:
            self._store.record_reorganisation(change.record(self.tip, entry, now))
        return change

    def _tell_step(self, done: int, steps: int) -> None:
        if done:  # one block alone is never abandoned
            self._progress(f"following another branch: {done:,}/{steps:,} blocks")

    def _connect(self, block: Block, changed: dict[bytes, Account]) -> None:
        self._signatures.check(block.transactions)
        before = self._store.load_accounts(touched_addresses(block))
        after = apply_block(before, block, self.params)
        self._store.connect_block(block, after)
        changed.update(after)

    def _disconnect(self, entry: BlockEntry, changed: dict[bytes, Account]) -> Block:
        block = self._load_block(entry.hash)
        after = self._store.load_accounts(touched_addresses(block))
        before = revert_block(after, block)
        self._store.disconnect_block(block, before)
        changed.update(before)
        return block

    def _load_block(self, block_hash: bytes) -> Block:
        return load_block(self._store, block_hash, self.params, self.network_id)

    def _move_pool(
        self,
        disconnected: Sequence[Block],
        connected: Sequence[Block],
        accounts: Mapping[bytes, Account],
        now: int,
    ) -> tuple[Transaction, ...]:
        mined = [transaction for block in connected for transaction in block.transactions]
        mined_ids = {transaction.id for transaction in mined}
        undone = in_chain_order(disconnected)
        returned = [transaction for transaction in undone if transaction.id not in mined_ids]
        change = self.pool.follow(accounts, mined, returned, now)
        self._store.change_pool(change.rows(), change.removed - mined_ids)
        return tuple(each for each in returned if each.id in self.pool)

    def _waiting_of(self, blocks: Sequence[Block]) -> tuple[Transaction, ...]:
        return tuple(each for each in in_chain_order(blocks) if each.id in self.pool)

    def _mark_invalid(self, block_hash: bytes) -> None:
        self._store.mark_invalid([block_hash, *self._store.descendants(block_hash)])
