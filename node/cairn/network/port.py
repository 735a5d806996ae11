"""What the network needs of the ledger, and no more. The listener provides it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cairn.chain.blockchain import BlockResult
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.validation import ParentContext


@dataclass(frozen=True, slots=True)
class TipView:
    """The active chain's last block."""

    hash: bytes
    height: int
    chain_work: int
    """Expected hashes of the whole chain, below 2^256."""
    header: bytes
    """96 bytes."""


class LedgerPort(Protocol):
    """The ledger as peers see it. Only a failing database makes these methods raise."""

    @property
    def params(self) -> NetworkParams:
        """The network's rules."""

    @property
    def network_id(self) -> bytes:
        """The genesis hash, 32 bytes."""

    def tip(self) -> TipView:
        """The current tip, from memory."""

    async def locator(self) -> list[bytes]:
        """Hashes of our chain, newest first: the last 10, then ever sparser, to genesis."""

    async def headers_after(self, locator: Sequence[bytes], limit: int) -> list[bytes]:
        """Headers (96 bytes each) of our active chain that follow the first hash of the
        locator that is in it, oldest first, at most `limit`."""

    async def context_of(self, block_hash: bytes) -> tuple[ParentContext, int] | None:
        """What a child of this block is judged against, and the chain work up to the block;
        None when it is unknown or invalid."""

    async def is_active(self, block_hash: bytes) -> bool:
        """Whether this block is in our active chain."""

    async def refuses(self, fork_height: int, tip_hash: bytes, chain_work: int) -> bool:
        """Whether policy keeps us from ever following a branch, known by its headers, that forks
        from our chain at this height; the provider tells the operator of one with more work."""

    async def missing_blocks(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of these blocks that are not stored, in the order given."""

    async def blocks(self, hashes: Sequence[bytes], max_bytes: int) -> list[bytes]:
        """Whole blocks, in the order given, without unknown ones; stops before `max_bytes`."""

    async def pool_ids(self, limit: int) -> list[bytes]:
        """Ids of waiting transactions, at most `limit`."""

    async def transactions(self, ids: Sequence[bytes], max_bytes: int) -> list[bytes]:
        """The bytes of those of these transactions that wait; stops before `max_bytes`."""

    async def unknown_transactions(self, ids: Sequence[bytes]) -> list[bytes]:
        """Those of these ids that neither wait nor are in the active chain."""

    async def accept_block(self, raw: bytes) -> BlockResult:
        """Offers a block; what it did is durable when this returns. Bytes that are no block
        are `INVALID` too."""

    async def accept_transactions(self, raws: Sequence[bytes]) -> list[RuleError | None]:
        """Offers transactions; for each, in order, why it was refused, or None.

        The provider broadcasts the admitted ones (`PeerNetwork.broadcast_transactions`).
        """
