"""Branches that fork below settled blocks: none is followed, none takes room."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from cairn.chain.blockchain import BlockFate
from cairn.consensus.block import Coinbase
from cairn.storage.tables import blocks
from tests.support.builders import (
    NOBODY,
    ChainBuilder,
    altered_block,
    make_key,
)
from tests.support.chain import MUCH_LATER, ChainNode

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(3)
MakeNode = Callable[..., ChainNode]


def test_follows_a_reorganisation_as_deep_as_allowed_and_none_deeper(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=3)
    builder = ChainBuilder(node.params)
    deeper, common = builder.fork(0), builder.mine()
    just = builder.fork(1)
    ours = [builder.mine() for _ in range(3)]
    node.offer(common, *ours)
    deep = [deeper.mine(extra=b"deep") for _ in range(6)]
    assert node.offer(*deep[:5][::-1]).fate is BlockFate.REFUSED
    assert node.chain.refused_reorganisation is None
    assert node.refuses(deeper, 0)
    refused = node.chain.refused_reorganisation
    assert refused is not None
    assert (refused.branch_tip, refused.limit) == (deep[5].hash, 3)
    node.check()

    three = [just.mine(extra=b"just") for _ in range(4)]
    assert node.offer(*three).fate is BlockFate.ACCEPTED
    assert node.chain.tip.hash == three[-1].hash
    assert node.statuses().keys().isdisjoint(block.hash for block in deep)
    node.check()


def test_a_node_captured_in_its_first_sync_follows_the_heavier_chain(make_node: MakeNode) -> None:
    """However many cheap blocks the first peer had: they are no history yet."""
    node = make_node(max_reorg_blocks=3, settle_seconds=600)
    honest, cheap = ChainBuilder(node.params), ChainBuilder(node.params)
    node.offer(*(cheap.mine(extra=b"cheap") for _ in range(20)))
    node.offer(*(honest.mine() for _ in range(30)), now=MUCH_LATER + 599)
    assert node.chain.tip.hash == honest.blocks[-1].hash
    assert node.chain.refused_reorganisation is None
    node.check()


def test_a_node_captured_after_days_away_follows_the_heavier_chain(make_node: MakeNode) -> None:
    """Its own blocks are settled, those it was told on its return are not."""
    node = make_node(max_reorg_blocks=3, settle_seconds=600)
    honest = ChainBuilder(node.params)
    node.offer(*(honest.mine() for _ in range(10)))
    cheap, back = honest.fork(10), MUCH_LATER + 86_400
    node.offer(*(cheap.mine(extra=b"cheap") for _ in range(20)), now=back)
    deeper = honest.fork(9)
    node.offer(*(deeper.mine(extra=b"deeper") for _ in range(22)), now=back)
    assert node.chain.tip.hash == cheap.blocks[-1].hash  # one settled block would be undone
    assert node.refuses(deeper, 9, back)
    refused = node.chain.refused_reorganisation
    assert refused is not None
    assert refused.branch_tip == deeper.blocks[-1].hash
    node.offer(*(honest.mine() for _ in range(30)), now=back + 599)
    assert node.chain.tip.hash == honest.blocks[-1].hash
    node.check()


def test_blocks_settle_after_their_time(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=3, settle_seconds=600)
    ours, theirs = ChainBuilder(node.params), ChainBuilder(node.params)
    node.offer(*(ours.mine() for _ in range(4)))
    late = MUCH_LATER + 600
    branch = [theirs.mine(extra=b"t") for _ in range(8)]
    assert not node.refuses(theirs, 0, late - 1)
    node.offer(*branch, now=late)
    assert node.chain.tip.hash == ours.blocks[-1].hash
    assert node.refuses(theirs, 0, late)
    assert node.chain.refused_reorganisation is not None
    near = ours.fork(1)
    node.offer(*(near.mine(extra=b"n") for _ in range(4)), now=late)
    assert node.chain.tip.hash == near.blocks[-1].hash  # no deeper than the limit
    node.check()


def test_a_refused_branch_is_followed_after_the_operators_word(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=2)
    builder = ChainBuilder(node.params)
    deeper = builder.fork(0)
    ours = [builder.mine([builder.send(ALICE, BOB.address, 1)]) for _ in range(3)]
    node.offer(*ours)
    deep = [deeper.mine(extra=b"deep") for _ in range(5)]
    node.leave_aside(*deep)
    node.restart()
    refused = node.chain.refused_reorganisation
    assert refused is not None
    assert refused.branch_tip == deep[-1].hash  # the heaviest, not whichever was looked at last
    node.restart(max_reorg_blocks=3)
    assert node.chain.refused_reorganisation is None
    assert node.chain.tip.hash == deep[-1].hash
    assert node.pool_ids() == {each.id for block in ours for each in block.transactions}
    node.check()


def test_a_refused_branch_is_forgotten_when_our_own_chain_outgrows_it(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=1)
    builder = ChainBuilder(node.params)
    deeper = builder.fork(0)
    node.offer(*(builder.mine() for _ in range(2)))
    for _ in range(3):
        deeper.mine(extra=b"deep")
    assert node.refuses(deeper, 0)
    assert node.chain.refused_reorganisation is not None
    rival = builder.fork(1)
    small = [rival.mine(extra=b"r") for _ in range(1)]
    node.offer(*small)
    node.offer(builder.mine())
    assert node.chain.refused_reorganisation is None
    node.check()


def test_a_small_reorganisation_does_not_hide_a_refused_branch(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=1)
    builder = ChainBuilder(node.params)
    deeper = builder.fork(0)
    node.offer(*(builder.mine() for _ in range(2)))
    for _ in range(8):
        deeper.mine(extra=b"deep")
    assert node.refuses(deeper, 0)
    rival = builder.fork(1)
    result = node.offer(*(rival.mine(extra=b"r") for _ in range(2)))
    assert result.changes[0].disconnected
    assert node.chain.refused_reorganisation is not None


def test_what_will_never_be_followed_takes_no_room(make_node: MakeNode) -> None:
    """However many blocks fork below the settled ones: they were cheap to make long ago."""
    node = make_node(max_reorg_blocks=3)
    ours = ChainBuilder(node.params)
    sides = [ours.fork(0), ours.fork(0)]
    node.offer(ours.mine(), ours.mine())
    for number, side in enumerate(sides):  # stored while they could still be followed
        node.offer(side.mine(extra=b"side%d" % number), side.mine(extra=b"side%d" % number))
    bad = ours.fork(1)
    node.offer(altered_block(bad.mine(), node.params, coinbase=Coinbase(NOBODY, 2**62)))
    long = sides[0].fork(2)
    node.leave_aside(*(long.mine(extra=b"long") for _ in range(40)))
    sinking = len(node.statuses())
    for _ in range(12):
        node.offer(ours.mine())
        stored = node.statuses()
        for side in (*sides, long):  # nothing hangs in the air, and at every moment
            flags = [block.hash in stored for block in side.blocks]
            assert flags == sorted(flags, reverse=True)
        for side in sides:
            side.mine(extra=b"more")
            if ours.parent.height > 3:
                fate = node.offer(side.blocks[-1]).fate
                assert fate in (BlockFate.REFUSED, BlockFate.ORPHAN)
    assert sinking > 40
    assert len(node.statuses()) == ours.parent.height + 1
    node.check()
    node.restart()
    node.check()


@pytest.mark.parametrize("rotten", [0, 1])
def test_damage_in_what_sinks_stops_nothing(make_node: MakeNode, rotten: int) -> None:
    """Nobody needs the row: it is deleted with its branch, unread."""
    node = make_node(max_reorg_blocks=3)
    ours = ChainBuilder(node.params)
    side = ours.fork(0)
    node.offer(ours.mine(), ours.mine(), ours.mine())
    node.offer(side.mine(extra=b"s"), side.mine(extra=b"s"))
    with node.engine.begin() as connection:
        row = blocks.c.hash == side.blocks[rotten].hash
        connection.execute(update(blocks).where(row).values(header=bytes(96)))
    for _ in range(6):
        assert node.offer(ours.mine()).fate is BlockFate.ACCEPTED
    assert len(node.statuses()) == ours.parent.height + 1
    node.check()


def test_a_branch_of_the_window_stays_while_others_sink(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=4)
    ours = ChainBuilder(node.params)
    node.offer(*(ours.mine() for _ in range(6)))
    kept = ours.fork(4)
    assert node.offer(kept.mine(extra=b"k"), kept.mine(extra=b"k")).fate is BlockFate.STORED
    node.offer(ours.mine())
    assert node.offer(kept.mine(extra=b"k"), kept.mine(extra=b"k")).fate is BlockFate.ACCEPTED
    back = ours.fork(7)
    node.offer(back.mine(), back.mine())
    assert node.chain.tip.hash == back.blocks[-1].hash
    node.check()


def test_many_refused_blocks_do_not_hide_a_branch_that_is_allowed(make_node: MakeNode) -> None:
    node = make_node(max_reorg_blocks=1)
    ours, deep = ChainBuilder(node.params), ChainBuilder(node.params)
    node.offer(*(ours.mine() for _ in range(5)))
    allowed = ours.fork(2)
    node.leave_aside(*(allowed.mine(extra=b"allowed") for _ in range(4)))
    node.leave_aside(*(deep.mine(extra=b"deep") for _ in range(107)))  # 101 of them are heavier
    assert node.chain.tip.height == 5
    node.restart(max_reorg_blocks=3)
    assert node.chain.tip.hash == allowed.blocks[-1].hash
    refused = node.chain.refused_reorganisation
    assert refused is not None
    assert refused.branch_tip == deep.blocks[-1].hash
    node.check()
