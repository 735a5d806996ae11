"""Branches of a replayed chain, and the accounts at the end of each."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account
from cairn.consensus.validation import ParentContext


@dataclass(slots=True)
class Branch:
    """A valid chain of stored blocks up to one of them."""

    context: ParentContext
    chain_work: int
    chain_transactions: int
    is_main: bool
    fork_height: int
    """Of the last block it shares with the main branch."""
    side: tuple[bytes, ...]
    """Hashes after the fork, in order; none on the main branch."""
    overlay: dict[bytes, Account]
    """On a side branch: every account that may differ from the main branch's."""
    is_active: bool
    """The block and all below it are marked ACTIVE."""
    active_height: int
    """Of the last block up to which all are marked ACTIVE."""
    received_at: int

    @property
    def height(self) -> int:
        """Of its last block."""
        return self.context.height

    @property
    def preference(self) -> tuple[int, bool, int]:
        """Orders branches: most work, then the one that is followed, then the first seen."""
        return self.chain_work, self.is_active, -self.received_at


@dataclass(slots=True)
class Replay:
    """The result: what follows from the bytes alone, and which blocks are unfit."""

    accounts: dict[bytes, Account]
    """Of the main branch at its end."""
    main_hashes: bytearray = field(default_factory=bytearray)
    """32 bytes for each height of the main branch, from 0."""
    best: Branch | None = None
    """Most work among all valid branches."""
    best_active: Branch | None = None
    """Most work among branches marked ACTIVE throughout."""
    blocks: int = 0
    invalid: set[bytes] = field(default_factory=set)
    """Blocks that break a rule, or descend from one that does."""
    unreadable: set[bytes] = field(default_factory=set)
    """Blocks whose bytes are damaged."""
    unreachable: set[bytes] = field(default_factory=set)
    """Blocks without a readable parent."""
    wrong_sums: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Work and transactions of the chain up to a block, where its columns say otherwise."""
    is_state_known: bool = True
    """Whether every block marked ACTIVE could be replayed, so that states can be compared."""

    def account_at(self, branch: Branch, address: bytes) -> Account:
        """An account at the branch's end."""
        found = branch.overlay.get(address)
        return self.accounts.get(address, EMPTY_ACCOUNT) if found is None else found

    def accounts_at(self, branch: Branch) -> Iterator[tuple[bytes, Account]]:
        """All accounts that exist (not all zero) at the branch's end, by address."""
        for address in sorted({*self.accounts, *branch.overlay}):
            account = self.account_at(branch, address)
            if account != EMPTY_ACCOUNT:
                yield address, account

    def path(self, branch: Branch) -> list[bytes]:
        """Hashes of the branch from genesis on."""
        end = (branch.fork_height + 1) * HASH_BYTES
        main = [bytes(self.main_hashes[at : at + HASH_BYTES]) for at in range(0, end, HASH_BYTES)]
        return [*main, *branch.side]
