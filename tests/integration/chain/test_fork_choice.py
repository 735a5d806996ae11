"""Which branch the chain follows, and what follows from that, on every database."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cairn.chain.blockchain import BlockFate, BlockResult
from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block, Coinbase
from cairn.consensus.errors import Rule
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import decode_transaction
from tests.support.builders import (
    COIN,
    NOBODY,
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
)
from tests.support.chain import NOW, ChainNode, problems_of

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(3)
MakeNode = Callable[..., ChainNode]


def scheduled_params() -> NetworkParams:
    """A network whose difficulty follows the clock: late blocks are easy, early ones are hard."""
    return make_params(target_interval_seconds=10, half_life_seconds=20, initial_target=0x2007FFFF)


def rule_of(result: BlockResult) -> Rule | None:
    return result.problem.rule if result.problem else None


# -- growing -----------------------------------------------------------------------------------


def test_begins_with_the_genesis_block_and_its_allocations(node: ChainNode) -> None:
    assert node.chain.tip.height == 0
    assert node.chain.tip.hash == node.params.network_id()
    assert node.accounts()[ALICE.address].balance == 1_000 * COIN
    node.check()
    node.restart()
    assert node.chain.tip.height == 0
    assert len(node.statuses()) == 1


def test_follows_a_block_on_its_tip(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    sent = builder.send(ALICE, CAROL.address, 5 * COIN)
    block = builder.mine([sent], recipient=BOB.address)
    result = node.offer(block)
    assert result.fate is BlockFate.ACCEPTED
    (change,) = result.changes
    assert change.fork.height == 0
    assert (change.disconnected, change.connected) == ((), (block,))
    assert dict(change.accounts) == {
        address: builder.accounts[address]
        for address in (ALICE.address, BOB.address, CAROL.address)
    }
    assert node.accounts() == builder.accounts
    node.check()


def test_knows_a_block_it_has(node: ChainNode) -> None:
    block = ChainBuilder(node.params).mine()
    node.offer(block)
    assert node.offer(block).fate is BlockFate.DUPLICATE
    assert node.offer(node.chain.genesis).fate is BlockFate.DUPLICATE


def test_keeps_a_block_for_later_that_is_too_far_ahead(node: ChainNode) -> None:
    block = ChainBuilder(node.params).mine(timestamp=NOW + 121)
    result = node.offer(block, now=NOW)
    assert (result.fate, rule_of(result)) == (BlockFate.LATER, Rule.TIMESTAMP_TOO_NEW)
    assert len(node.statuses()) == 1
    assert node.offer(block, now=NOW + 1).fate is BlockFate.ACCEPTED


# -- branches ----------------------------------------------------------------------------------


def test_stores_a_branch_of_equal_work_and_stays(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    first = builder.mine()
    rival = builder.fork(0).mine(extra=b"rival")
    node.offer(first)
    assert node.offer(rival).fate is BlockFate.STORED
    assert node.chain.tip.hash == first.hash
    node.restart()
    assert node.chain.tip.hash == first.hash
    assert node.statuses()[rival.hash] is BlockStatus.STORED
    node.check()


def test_reorganises_to_the_branch_that_gets_ahead(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    common = builder.mine(recipient=BOB.address)
    branch = builder.fork(1)
    old = [builder.mine([builder.send(ALICE, CAROL.address, 7)]) for _ in range(2)]
    new = [branch.mine([branch.send(BOB, CAROL.address, 9)], extra=b"b") for _ in range(3)]
    node.offer(common, *old)
    assert node.offer(*new[:2]).fate is BlockFate.STORED
    result = node.offer(new[2])
    assert result.fate is BlockFate.ACCEPTED
    (change,) = result.changes
    assert change.fork.hash == common.hash
    assert change.disconnected == tuple(reversed(old))
    assert change.connected == tuple(new)
    assert node.accounts() == branch.accounts
    assert all(branch.accounts[name] == each for name, each in change.accounts.items())
    assert node.pool_ids() == {each.id for block in old for each in block.transactions}
    node.check()


def test_a_branch_with_more_work_wins_though_it_is_shorter(make_node: MakeNode) -> None:
    params = scheduled_params()
    node, slow = make_node(params), ChainBuilder(params)
    quick = slow.fork(0)
    longer = [slow.mine(timestamp=slow.parent.timestamp + 80) for _ in range(4)]
    shorter = [quick.mine(timestamp=quick.parent.timestamp + 1, extra=b"q") for _ in range(2)]
    node.offer(*longer)
    assert node.chain.tip.height == 4
    node.offer(*shorter)
    assert (node.chain.tip.height, node.chain.tip.hash) == (2, shorter[-1].hash)
    node.check()
    assert len(node.store.active_entries(0, 100)) == 3


def test_a_longer_branch_with_less_work_is_not_followed(make_node: MakeNode) -> None:
    params = scheduled_params()
    node, slow = make_node(params), ChainBuilder(params)
    quick = slow.fork(0)
    shorter = [quick.mine(timestamp=quick.parent.timestamp + 1, extra=b"q") for _ in range(2)]
    longer = [slow.mine(timestamp=slow.parent.timestamp + 80) for _ in range(4)]
    node.offer(*shorter)
    assert node.offer(*longer).fate is BlockFate.STORED
    assert node.chain.tip.hash == shorter[-1].hash
    node.check()


def test_reorganises_back_and_forth(node: ChainNode) -> None:
    left = ChainBuilder(node.params)
    right = left.fork(0)
    for height in range(1, 6):
        leader, name = (left, b"left") if height % 2 else (right, b"right")
        for builder, extra in ((left, b"left"), (right, b"right")):
            while len(builder.blocks) < height - 1:
                node.offer(builder.mine(extra=extra))
        block = leader.mine([leader.send(ALICE, BOB.address, height)], extra=name)
        assert node.offer(block).fate is BlockFate.ACCEPTED
        assert node.accounts() == leader.accounts
        node.check()


def test_connecting_and_disconnecting_leaves_the_accounts_as_they_were(node: ChainNode) -> None:
    """An account that a block made is gone with it, not left with zeros."""
    builder = ChainBuilder(node.params)
    stranger, newcomer = make_key(77), make_key(78)
    before = node.accounts()
    transactions = [
        builder.send(ALICE, stranger.address, 50_000),
        make_transaction(stranger, node.params, 0, newcomer.address, 49_000, 1_000),
        make_transaction(newcomer, node.params, 0, newcomer.address, 1, 0),
    ]
    branch = builder.fork(0)
    node.offer(builder.mine(transactions, recipient=newcomer.address))
    assert newcomer.address in node.accounts()
    empty = [branch.mine(claim=0, extra=b"x") for _ in range(2)]
    node.offer(*empty)
    assert node.accounts() == before
    node.check()


# -- branches that break a rule ----------------------------------------------------------------


def test_a_bad_block_in_a_heavier_branch_leaves_the_tip(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    kept = [builder.mine([builder.send(ALICE, BOB.address, 1)]) for _ in range(2)]
    node.offer(*kept)
    waiting = builder.send(CAROL, BOB.address, 1)
    node.take(waiting)
    before = node.accounts()
    good = branch.mine(extra=b"good")
    greedy = branch.mine(extra=b"bad")
    greedy = altered_block(greedy, node.params, coinbase=Coinbase(NOBODY, 2**62, b"bad"))
    children = []
    parent = replace_tip(branch, greedy)
    for _ in range(2):
        children.append(parent.mine(extra=b"child"))
    assert node.offer(good, greedy).fate is BlockFate.STORED
    result = node.offer(children[0])
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.COINBASE_AMOUNT)
    assert result.changes == ()
    assert node.chain.tip.hash == kept[-1].hash
    assert node.accounts() == before
    assert node.pool_ids() == {waiting.id}
    statuses = node.statuses()
    assert statuses[good.hash] is BlockStatus.STORED
    assert statuses[greedy.hash] is statuses[children[0].hash] is BlockStatus.INVALID
    result = node.offer(children[1])
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.PARENT_INVALID)
    result = node.offer(greedy)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.BLOCK_INVALID)
    node.check()
    assert node.offer(builder.mine([waiting])).fate is BlockFate.ACCEPTED
    node.restart()
    node.check()


def replace_tip(builder: ChainBuilder, block: Block) -> ChainBuilder:
    """A builder whose last block is `block` instead, unchecked."""
    changed = ChainBuilder(builder.params)
    changed.blocks = [*builder.blocks[:-1], block]
    parent = builder.parents[-2]
    changed.parents = [*builder.parents[:-1], parent.extended_by(block.header, block.hash)]
    return changed


def test_the_sound_part_of_a_bad_branch_is_followed_when_it_has_more_work(
    make_node: MakeNode,
) -> None:
    """Deeper than allowed when it came; a node that may follow it later finds its bad end."""
    node = make_node(max_reorg_blocks=1)
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    node.offer(*(builder.mine() for _ in range(2)))
    good = [branch.mine(extra=b"good") for _ in range(3)]
    bad = altered_block(branch.mine(), node.params, coinbase=Coinbase(NOBODY, 2**62))
    child = replace_tip(branch, bad).mine()
    node.leave_aside(*good, bad, child)
    node.restart(max_reorg_blocks=5)
    assert node.chain.tip.hash == good[-1].hash
    assert node.statuses()[bad.hash] is node.statuses()[child.hash] is BlockStatus.INVALID
    node.check()


def test_a_false_signature_is_found_when_the_block_would_connect(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    good = builder.send(ALICE, BOB.address, 1)
    forged_raw = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    forged = decode_transaction(forged_raw, node.params.network_id())
    node.take(good)  # the same id with a true signature was seen
    block = altered_block(builder.mine(), node.params, transactions=[forged])
    result = node.offer(block)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.SIGNATURE_INVALID)
    assert node.pool_ids() == {good.id}
    node.check()


@pytest.mark.parametrize("count", [1, 3])
def test_an_overdraft_in_a_block_is_refused(node: ChainNode, count: int) -> None:
    builder = ChainBuilder(node.params)
    dear = [
        make_transaction(ALICE, node.params, sequence, BOB.address, 1_000 * COIN, 0)
        for sequence in range(count)
    ]
    block = altered_block(
        builder.mine(), node.params, transactions=[*dear, *dear[:1]] if count > 1 else [dear[0]] * 2
    )
    result = node.offer(block)
    assert result.fate is BlockFate.INVALID
    assert rule_of(result) in (Rule.BALANCE_INSUFFICIENT, Rule.SEQUENCE_MISMATCH)
    assert node.chain.tip.height == 0
    node.check()


def test_an_unsound_block_is_not_kept(node: ChainNode) -> None:
    block = ChainBuilder(node.params).mine()
    no_work = altered_block(block, node.params, mined=False, nonce=0)
    nonce = 1
    while no_work.hash[0] < 0x80:
        no_work, nonce = altered_block(block, node.params, mined=False, nonce=nonce), nonce + 1
    result = node.offer(no_work)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.PROOF_OF_WORK)
    wrong_root = altered_block(block, node.params, merkle_root=bytes(32))
    result = node.offer(wrong_root)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.MERKLE_ROOT_MISMATCH)
    assert len(node.statuses()) == 1


def test_a_false_body_does_not_spoil_the_true_one(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    true = builder.mine([builder.send(ALICE, BOB.address, 1)])
    false = replace(true, transactions=(), raw=true.raw)
    result = node.offer(false)
    assert rule_of(result) is Rule.MERKLE_ROOT_MISMATCH
    assert node.offer(true).fate is BlockFate.ACCEPTED


# -- orphans -----------------------------------------------------------------------------------


def test_orphans_connect_when_their_parent_comes(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    blocks = [builder.mine([builder.send(ALICE, BOB.address, 1)]) for _ in range(4)]
    for block in (blocks[3], blocks[1], blocks[2]):
        result = node.offer(block)
        assert (result.fate, rule_of(result)) == (BlockFate.ORPHAN, Rule.PARENT_UNKNOWN)
    result = node.offer(blocks[0])
    assert result.fate is BlockFate.ACCEPTED
    assert [change.connected for change in result.changes] == [(block,) for block in blocks]
    assert node.chain.tip.hash == blocks[3].hash
    node.check()


def test_an_orphan_that_completes_a_heavier_branch_is_followed(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    ours = builder.mine()
    theirs = [branch.mine(extra=b"t") for _ in range(2)]
    node.offer(ours)
    assert node.offer(theirs[1]).fate is BlockFate.ORPHAN
    result = node.offer(theirs[0])
    assert result.fate is BlockFate.STORED
    (change,) = result.changes
    assert change.connected == tuple(theirs)
    assert node.chain.tip.hash == theirs[1].hash


def test_orphans_must_show_work(make_node: MakeNode) -> None:
    params = make_params(initial_target=0x2000FFFF, target_limit=0x2000FFFF)
    node, builder = make_node(params), ChainBuilder(params)
    builder.mine()
    orphan = builder.mine()
    assert node.offer(orphan).fate is BlockFate.ORPHAN
    idle = altered_block(orphan, params, mined=False, nonce=orphan.header.nonce + 1)
    while idle.hash[0] == 0:
        idle = altered_block(orphan, params, mined=False, nonce=idle.header.nonce + 1)
    result = node.offer(idle)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.PROOF_OF_WORK)
    easy = altered_block(orphan, params, bits=0x207FFFFF)
    result = node.offer(easy)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.BITS_MISMATCH)
    garbage = altered_block(orphan, params, mined=False, bits=0x01000000)
    assert rule_of(node.offer(garbage)) is Rule.BITS_INVALID


def test_an_orphan_with_a_false_body_does_not_keep_the_true_one_out(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    parent = builder.mine()
    true = builder.mine([builder.send(ALICE, BOB.address, 1)])
    false = replace(true, transactions=())
    result = node.offer(false)
    assert (result.fate, rule_of(result)) == (BlockFate.INVALID, Rule.MERKLE_ROOT_MISMATCH)
    assert node.offer(true).fate is BlockFate.ORPHAN
    node.offer(parent)
    assert node.chain.tip.hash == true.hash


# -- the pool ----------------------------------------------------------------------------------


def test_what_a_losing_branch_mined_waits_again(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    both = builder.send(ALICE, BOB.address, 1)
    lost = make_transaction(ALICE, node.params, 1, BOB.address, 2, 10)
    waiting = make_transaction(ALICE, node.params, 2, BOB.address, 3, 10)
    node.offer(builder.mine([both, lost]))
    node.take(waiting)
    node.offer(branch.mine(extra=b"b"), branch.mine([both], extra=b"b"))
    assert node.chain.tip.height == 2
    assert node.pool.select(10**6) == [lost, waiting]
    node.check()
    node.restart()
    assert node.pool_ids() == {lost.id, waiting.id}
    node.check()
    branch.mine([lost, waiting])
    assert node.offer(branch.blocks[-1]).fate is BlockFate.ACCEPTED
    assert len(node.pool) == 0


def test_the_loser_of_a_double_spend_does_not_wait_again(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    loser = make_transaction(ALICE, node.params, 0, BOB.address, 1, 10)
    winner = make_transaction(ALICE, node.params, 0, CAROL.address, 1, 10)
    node.take(loser)
    node.offer(builder.mine([loser]))
    node.offer(branch.mine([winner], extra=b"b"), branch.mine(extra=b"b"))
    assert node.pool_ids() == set()
    assert problems_of(node.admit(loser, winner)) == ["sequence-mismatch", "pool-already-mined"]
    node.check()


def test_what_spent_the_losing_branchs_reward_does_not_wait_again(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    miner = make_key(55)
    node.offer(builder.mine(recipient=miner.address))
    spends = [
        make_transaction(miner, node.params, sequence, BOB.address, COIN, 0)
        for sequence in range(2)
    ]
    node.offer(builder.mine(spends[:1]))
    node.take(spends[1])
    node.offer(*(branch.mine(extra=b"b") for _ in range(3)))
    assert node.pool_ids() == set()
    node.check()


def test_tells_which_transactions_wait_again(make_node: MakeNode) -> None:
    node = make_node()
    builder = ChainBuilder(node.params)
    rival = builder.fork(0)
    both, alone = builder.send(ALICE, BOB.address, 1), builder.send(BOB, ALICE.address, 2)
    node.offer(builder.mine([both, alone]))
    before = node.chain.tip.hash
    result = node.offer(rival.mine([both]), rival.mine())
    assert [change.returned for change in result.changes] == [(alone,)]
    told_late = node.chain.change_since(before)
    assert told_late is not None
    assert told_late.returned == (alone,)
