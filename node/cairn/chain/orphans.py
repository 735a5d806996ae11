"""Blocks whose parent is unknown, held in memory until it comes or room runs out."""

from collections import OrderedDict

from cairn.consensus.block import Block
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import bits_to_target, check_proof_of_work
from cairn.consensus.validation import check_block_sanity

MAX_ORPHANS = 128
MAX_ORPHAN_BYTES = 32 * 1024 * 1024


class OrphanBlocks:
    """Bounded in number and bytes; the oldest leaves first."""

    def __init__(self, max_blocks: int = MAX_ORPHANS, max_bytes: int = MAX_ORPHAN_BYTES) -> None:
        self._max_blocks = max_blocks
        self._max_bytes = max_bytes
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()
        self._bytes = 0

    def hold(self, block: Block) -> None:
        """Keeps a block, and lets the oldest go when there are too many."""
        if block.hash not in self._blocks:
            self._blocks[block.hash] = block
            self._bytes += len(block.raw)
        while len(self._blocks) > self._max_blocks or self._bytes > self._max_bytes:
            _, oldest = self._blocks.popitem(last=False)
            self._bytes -= len(oldest.raw)

    def take_children(self, parent_hash: bytes) -> list[Block]:
        """Removes and returns the held blocks that build on `parent_hash`."""
        children = [
            block for block in self._blocks.values() if block.header.previous_hash == parent_hash
        ]
        for block in children:
            del self._blocks[block.hash]
            self._bytes -= len(block.raw)
        return children


def check_orphan(block: Block, params: NetworkParams) -> None:
    """Orphans must show work at least, or holding them would cost a sender nothing; and be
    whole, or a false body would keep the true one of the same hash out. Raises RuleError."""
    limit = params.target_limit
    if bits_to_target(block.header.bits) > bits_to_target(limit):
        raise RuleError(
            Rule.BITS_MISMATCH,
            f"bits {block.header.bits:#010x} are easier than the limit {limit:#010x}",
            bits=block.header.bits,
            limit=limit,
        )
    check_proof_of_work(block.hash, block.header.bits)
    check_block_sanity(block, params)
