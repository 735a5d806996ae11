"""What policy defends: how deep a branch may fork to be stored and followed at all."""

from collections import OrderedDict

from cairn.chain.outcomes import RefusedReorganisation
from cairn.chain.store import BlockEntry, BlockStatus, ChainStore, LedgerDamagedError

BRANCH_STEP = 256
"""Entries read at once when walking a branch back to its fork point."""
PRUNED_AT_ONCE = 16
"""Blocks deleted with one move of the tip: more than come with it, few enough not to be felt."""
_REMEMBERED_FORKS = 4_096


class SettledHistory:
    """Which forks lie below the active chain's settled blocks, and what becomes of their blocks.

    `tip` is always the active chain's last block. The writer's alone, as the chain is.
    """

    def __init__(self, store: ChainStore, max_reorg_blocks: int, settle_seconds: int) -> None:
        self.refused: RefusedReorganisation | None = None
        """The branch of most work that policy keeps the node from following."""
        self._store = store
        self._max_reorg_blocks = max_reorg_blocks
        self._settle_seconds = settle_seconds
        self._settled_height = 0
        self._settles_next = 0
        """When the block above `_settled_height` settles, seconds since the epoch."""
        self._forks: OrderedDict[bytes, int] = OrderedDict()
        """Of blocks on branches lately added to: the height that they fork from."""
        self._doomed: list[bytes] = []
        """A branch being deleted, parents before children."""

    def reset(self) -> None:
        """The active chain was read again."""
        self.refused = None
        self.forget()

    def forget(self) -> None:
        """The active chain lost blocks: what was derived from it is void."""
        self._settled_height = self._settles_next = 0
        self._forks.clear()
        self._doomed.clear()

    def floor(self, tip: BlockEntry, now: int) -> int:
        """The least height that a branch may fork from: below, it would undo more than the
        allowed number of blocks, one of them settled."""
        limit = tip.height - self._max_reorg_blocks
        if limit <= 0 or not self._settle_seconds:
            return max(0, limit)
        if self._settled_height < limit and now >= self._settles_next:
            self._look_for_settled(tip.height, now)
        return min(limit, self._settled_height)

    def _look_for_settled(self, tip_height: int, now: int) -> None:
        """The highest block stored for long enough: none was stored before its parent."""
        low, high = self._settled_height, tip_height + 1
        self._settles_next = now
        while high - low > 1:
            middle = (low + high) // 2
            received_at = self._store.active_received_at(middle)
            if received_at is not None and now - received_at >= self._settle_seconds:
                low = middle
            else:
                high = middle
                self._settles_next = (received_at or now) + self._settle_seconds
        self._settled_height = low

    def note_refused(self, block_hash: bytes, chain_work: int) -> None:
        """A branch with more work than the active chain is not followed."""
        if self.refused is None or self.refused.chain_work < chain_work:
            limit = self._max_reorg_blocks
            self.refused = RefusedReorganisation(block_hash, chain_work, limit)

    def admits(self, entry: BlockEntry, parent: BlockEntry, tip: BlockEntry, now: int) -> bool:
        """Whether a new block's branch forks high enough for the block to be stored."""
        if parent.status is BlockStatus.ACTIVE:
            fork: int | None = parent.height
        else:
            fork = self._forks.get(parent.hash)
            if fork is None:
                _, found = self.branch_of(entry, tip, self.floor(tip, now))
                fork = found.height if found is not None else None
        if fork is None or fork < self.floor(tip, now):
            return False
        if parent.hash != tip.hash:
            self._forks[entry.hash] = fork
            if len(self._forks) > _REMEMBERED_FORKS:
                self._forks.popitem(last=False)
        return True

    def branch_of(
        self, entry: BlockEntry, tip: BlockEntry, lowest_fork: int
    ) -> tuple[list[BlockEntry], BlockEntry | None]:
        """The branch that ends in `entry`, oldest first, and the active block it forks from;
        None for that when it lies below height `lowest_fork`."""
        branch = [entry]
        if entry.header.previous_hash == tip.hash:
            return branch, tip
        while True:
            steps = self._store.ancestors(branch[-1].header.previous_hash, BRANCH_STEP)
            for step in steps:
                if step.height < lowest_fork:
                    return branch[::-1], None
                if step.status is BlockStatus.ACTIVE:
                    return branch[::-1], step
                branch.append(step)
            if not steps:
                raise LedgerDamagedError("a stored branch has no root")

    def prune(self, floor: int) -> None:
        """Deletes some blocks, inside a database transaction, of branches that fork below
        `floor`: none will be followed. Children go first, so that each that stays has its parent.
        """
        if not self._doomed:  # none of these grows: `admits` refuses what would build on them
            root = self._store.lowest_side_block(floor)
            if root is None:
                return
            self._doomed = [root, *self._store.descendants(root)]
        self._store.delete_blocks(self._doomed[-PRUNED_AT_ONCE:])
        del self._doomed[-PRUNED_AT_ONCE:]
