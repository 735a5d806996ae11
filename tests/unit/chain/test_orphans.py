"""Blocks without a parent are held within bounds, the oldest leaving first."""

from cairn.chain.orphans import OrphanBlocks
from cairn.consensus.block import Block
from tests.support.builders import ChainBuilder

BUILDER = ChainBuilder()
BLOCKS = [BUILDER.mine(extra=bytes(number)) for number in range(6)]


def held(orphans: OrphanBlocks) -> list[Block]:
    """Takes out what is held of BLOCKS."""
    return [each for block in BLOCKS for each in orphans.take_children(block.header.previous_hash)]


def test_gives_children_once() -> None:
    orphans = OrphanBlocks()
    rival = BUILDER.fork(1).mine(extra=b"rival")
    for block in (BLOCKS[1], rival, BLOCKS[2]):
        orphans.hold(block)
    assert orphans.take_children(BLOCKS[0].hash) == [BLOCKS[1], rival]
    assert orphans.take_children(BLOCKS[0].hash) == []
    assert held(orphans) == [BLOCKS[2]]


def test_lets_the_oldest_go_beyond_a_number() -> None:
    orphans = OrphanBlocks(max_blocks=3)
    for block in (*BLOCKS[:5], BLOCKS[4]):
        orphans.hold(block)
    assert held(orphans) == BLOCKS[2:5]


def test_lets_the_oldest_go_beyond_a_number_of_bytes() -> None:
    room = sum(len(block.raw) for block in BLOCKS[3:])
    orphans = OrphanBlocks(max_bytes=room)
    for block in BLOCKS:
        orphans.hold(block)
    assert held(orphans) == BLOCKS[3:]
    for block in BLOCKS:  # what was taken out makes room again
        orphans.hold(block)
    assert held(orphans) == BLOCKS[3:]


def test_a_block_beyond_all_bounds_is_not_held() -> None:
    orphans = OrphanBlocks(max_bytes=len(BLOCKS[0].raw) - 1)
    orphans.hold(BLOCKS[0])
    assert held(orphans) == []
