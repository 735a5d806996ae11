"""What becomes of offered blocks, and how the active chain moves by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from cairn.chain.store import BlockEntry, Reorganisation
from cairn.consensus.block import Block
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction


class BlockFate(Enum):
    """What became of a block that was offered."""

    ACCEPTED = "accepted"
    """It is in the active chain."""
    STORED = "stored"
    """Sound as far as checked, on a branch that is not followed."""
    DUPLICATE = "duplicate"
    """Known already."""
    ORPHAN = "orphan"
    """Its parent is unknown; held for a while in memory."""
    LATER = "later"
    """Its timestamp is still too far ahead; it may be offered again."""
    REFUSED = "refused"
    """Its branch forks below settled blocks: not stored, as it will not be followed."""
    INVALID = "invalid"
    """It breaks a rule."""


@dataclass(frozen=True, slots=True)
class ChainChange:
    """How the active chain moved, once."""

    fork: BlockEntry
    """The last block that old and new chain share."""
    disconnected: tuple[Block, ...]
    """Newest first."""
    connected: tuple[Block, ...]
    """Oldest first; its last is the new tip."""
    accounts: Mapping[bytes, Account]
    """The new states of all accounts it touched."""
    returned: tuple[Transaction, ...] = ()
    """Transactions of disconnected blocks that wait again: others may have forgotten them."""

    def record(self, old_tip: BlockEntry, new_tip: BlockEntry, now: int) -> Reorganisation:
        """What is kept of it when it undid blocks."""
        undone = {each.id for block in self.disconnected for each in block.transactions}
        mined = {each.id for block in self.connected for each in block.transactions}
        return Reorganisation(
            happened_at=now,
            fork_height=self.fork.height,
            fork_hash=self.fork.hash,
            old_tip=old_tip.hash,
            new_tip=new_tip.hash,
            old_work=old_tip.chain_work,
            new_work=new_tip.chain_work,
            blocks_undone=len(self.disconnected),
            blocks_connected=len(self.connected),
            transactions_undone=len(undone),
            transactions_mined_again=len(undone & mined),
            transactions_returned=len(self.returned),
        )


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What became of an offered block, and every move of the chain that followed."""

    fate: BlockFate
    problem: RuleError | None = None
    changes: tuple[ChainChange, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedReorganisation:
    """A branch with more work that policy keeps the node from following."""

    branch_tip: bytes
    chain_work: int
    """Of the branch up to that tip."""
    limit: int
    """It would undo more blocks of the active chain than this."""


class BranchInvalidError(Exception):
    """A signal to roll the database transaction back; nobody outside the chain sees it."""

    def __init__(self, block_hash: bytes, problem: RuleError) -> None:
        super().__init__(str(problem))
        self.block_hash = block_hash
        self.problem = problem
