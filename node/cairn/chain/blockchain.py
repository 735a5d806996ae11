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
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import (
    BlockEntry,
    BlockStatus,
    ChainStore,
    ForeignTipError,
    LedgerDamagedError,
)
from cairn.chain.waiting import in_chain_order, sound_rows, unminable
from cairn.consensus.block import Block, decode_block
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
_BRANCH_STEP = 256
"""Entries read at once when walking a branch back to its fork point."""


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
    ) -> None:
        """A reorganisation of more than `max_reorg_blocks` is refused if it would undo a block
        that has been stored here for `settle_seconds` (0: any)."""
        self.params = params
        self.genesis = params.genesis_block()
        self.network_id = self.genesis.hash
        self.pool = pool
        self.refused_reorganisation: RefusedReorganisation | None = None
        self._store = store
        self._signatures = signatures
        self._max_reorg_blocks = max_reorg_blocks
        self._settle_seconds = settle_seconds
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

    def reload(self, now: int) -> None:
        """Reads tip and pool from the store, and makes the genesis block in an empty one."""
        self._contexts.clear()
        self._accounts.clear()
        self.refused_reorganisation = None
        self._tip = self._store.tip() or self._create_genesis(now)
        self._restore_pool()
        self._follow_best(now)

    def _create_genesis(self, now: int) -> BlockEntry:
        header = self.genesis.header
        entry = BlockEntry(self.genesis.hash, header, work_of(header.bits), BlockStatus.STORED)
        with self._store.transaction():
            self._store.insert_block(entry, self.genesis, now)
            self._store.connect_block(self.genesis, genesis_accounts(self.params))
        return replace(entry, status=BlockStatus.ACTIVE)

    def _restore_pool(self) -> None:
        rows = self._store.load_pool()
        sound, unsound = sound_rows(rows, self.params, self.network_id, self._signatures)
        accounts = self._store.load_accounts({transaction.sender for transaction, _ in sound})
        removed = self.pool.restore(sound, accounts).removed | unsound
        if removed:
            with self._store.transaction():
                self._store.change_pool((), removed)

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
        if fork is None or not 0 < self.tip.height - fork.height <= _BRANCH_STEP:
            return None
        entries = self._store.active_entries(fork.height + 1, _BRANCH_STEP)
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
        refused = self.refused_reorganisation
        if refused is not None and refused.chain_work <= tip.chain_work:
            self.refused_reorganisation = None
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
        fork_limit = self.tip.height - self._max_reorg_blocks
        # The walk back ends there at the latest, unless even that block is new here.
        lowest_fork = fork_limit if self._is_settled(fork_limit, now) else 0
        branch, fork = self._branch_of(entry, lowest_fork)
        if fork is None or (fork.height < fork_limit and self._is_settled(fork.height + 1, now)):
            self._note_refused(entry)
            if refused is not None:
                refused.update(step.hash for step in branch)
            return None
        depth = self.tip.height - fork.height
        disconnected: list[Block] = []
        connected: list[Block] = []
        accounts: dict[bytes, Account] = {}
        for active in self._store.ancestors(self.tip.hash, depth):
            disconnected.append(self._disconnect(active, accounts))
        for step in branch:
            block = at_hand.get(step.hash) or self._load_block(step.hash)
            try:
                self._connect(block, accounts)
            except RuleError as error:
                raise BranchInvalidError(step.hash, error) from error
            connected.append(block)
        self._move_pool(disconnected, connected, accounts, now)
        returned = self._waiting_of(disconnected)
        return ChainChange(fork, tuple(disconnected), tuple(connected), accounts, returned)

    def _is_settled(self, height: int, now: int) -> bool:
        """Whether the active block at this height has been here for long: what a node has only
        just been told, in its first sync or after days away, is no history to defend."""
        if not self._settle_seconds:
            return True
        received_at = self._store.active_received_at(height)
        return received_at is not None and now - received_at >= self._settle_seconds

    def _note_refused(self, entry: BlockEntry) -> None:
        refused = self.refused_reorganisation
        if refused is None or refused.chain_work < entry.chain_work:
            self.refused_reorganisation = RefusedReorganisation(
                entry.hash, entry.chain_work, self._max_reorg_blocks
            )

    def _branch_of(
        self, entry: BlockEntry, lowest_fork: int
    ) -> tuple[list[BlockEntry], BlockEntry | None]:
        """The branch that ends in `entry`, oldest first, and the active block it forks from;
        None for that when it lies below height `lowest_fork`."""
        branch = [entry]
        if entry.header.previous_hash == self.tip.hash:
            return branch, self.tip
        while True:
            steps = self._store.ancestors(branch[-1].header.previous_hash, _BRANCH_STEP)
            for step in steps:
                if step.height < lowest_fork:
                    return branch[::-1], None
                if step.status is BlockStatus.ACTIVE:
                    return branch[::-1], step
                branch.append(step)
            if not steps:
                raise LedgerDamagedError("a stored branch has no root")

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
        raw = self._store.load_block_bytes(block_hash)
        try:
            block = decode_block(raw or b"", self.network_id, self.params.max_block_bytes)
        except RuleError as error:  # of our own disk, not of anyone who offered something
            raise LedgerDamagedError(
                f"stored block {block_hash.hex()} is damaged ({error})"
            ) from None
        return block

    def _move_pool(
        self,
        disconnected: Sequence[Block],
        connected: Sequence[Block],
        accounts: Mapping[bytes, Account],
        now: int,
    ) -> None:
        mined = [transaction for block in connected for transaction in block.transactions]
        mined_ids = {transaction.id for transaction in mined}
        returned = [
            transaction
            for transaction in in_chain_order(disconnected)
            if transaction.id not in mined_ids
        ]
        change = self.pool.follow(accounts, mined, returned, now)
        self._store.change_pool(change.rows(), change.removed - mined_ids)

    def _waiting_of(self, blocks: Sequence[Block]) -> tuple[Transaction, ...]:
        return tuple(each for each in in_chain_order(blocks) if each.id in self.pool)

    def _mark_invalid(self, block_hash: bytes) -> None:
        descendants = self._store.descendants(block_hash)
        self._store.mark_invalid([block_hash, *(entry.hash for entry in descendants)])
