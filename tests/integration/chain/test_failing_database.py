"""A database that is lost at any step of any work: nothing is half done, and work goes on."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import Update, update

from cairn.chain.store import BlockStatus, LedgerDamagedError
from cairn.consensus.block import Block, Coinbase
from cairn.consensus.transaction import Transaction
from cairn.storage.errors import DamagedRowError, StorageUnavailable
from cairn.storage.tables import blocks
from tests.support.builders import (
    NOBODY,
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
)
from tests.support.chain import NOW, ChainNode, sqlite_node

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(3)
PARAMS = make_params()
MOST_STEPS = 200


@dataclass(frozen=True)
class Work:
    """Something a node does, on a database prepared for it, and what must come of it."""

    prepare: Callable[[ChainNode], None]
    do: Callable[[ChainNode], None]
    """May be done again after it was done."""
    expect: Callable[[ChainNode], None]


def connecting() -> Work:
    builder = ChainBuilder(PARAMS)
    sent = builder.send(ALICE, BOB.address, 5)
    later = make_transaction(ALICE, PARAMS, 1, BOB.address, 6, 1)
    block = builder.mine([sent], recipient=CAROL.address)

    def expect(node: ChainNode) -> None:
        assert node.chain.tip.hash == block.hash
        assert node.pool_ids() == {later.id}

    return Work(lambda node: node.take(sent, later), lambda node: _offer(node, block), expect)


def reorganising() -> Work:
    builder = ChainBuilder(PARAMS)
    branch = builder.fork(0)
    ours = [builder.mine([builder.send(ALICE, BOB.address, 5)]) for _ in range(2)]
    both = ours[0].transactions[0]
    theirs = [branch.mine([both], extra=b"t"), branch.mine(extra=b"t"), branch.mine(extra=b"t")]

    def expect(node: ChainNode) -> None:
        assert node.chain.tip.hash == theirs[-1].hash
        assert node.pool_ids() == {ours[1].transactions[0].id}

    return Work(
        lambda node: _offer(node, *ours, *theirs[:2]),
        lambda node: _offer(node, theirs[2]),
        expect,
    )


def finding_a_bad_branch() -> Work:
    builder = ChainBuilder(PARAMS)
    branch = builder.fork(0)
    ours = builder.mine([builder.send(ALICE, BOB.address, 5)])
    bad = altered_block(branch.mine(), PARAMS, coinbase=Coinbase(NOBODY, 2**62))
    branch.parents[-1] = branch.parents[0].extended_by(bad.header, bad.hash)
    child = branch.mine(extra=b"child")

    def expect(node: ChainNode) -> None:
        assert node.chain.tip.hash == ours.hash
        statuses = node.statuses()
        assert statuses[bad.hash] is statuses[child.hash] is BlockStatus.INVALID

    return Work(lambda node: _offer(node, ours, bad), lambda node: _offer(node, child), expect)


def connecting_orphans() -> Work:
    builder = ChainBuilder(PARAMS)
    blocks = [builder.mine([builder.send(ALICE, BOB.address, 5)]) for _ in range(3)]

    def expect(node: ChainNode) -> None:
        assert node.chain.tip.hash == blocks[-1].hash

    return Work(
        lambda node: _offer(node, *blocks[1:]),
        lambda node: _offer(node, *blocks),  # orphans live in memory: they may be gone
        expect,
    )


def admitting() -> Work:
    sent = [make_transaction(ALICE, PARAMS, number, BOB.address, 5, 1_000) for number in range(3)]
    better = make_transaction(ALICE, PARAMS, 1, BOB.address, 5, 2_000)

    def expect(node: ChainNode) -> None:
        assert node.pool_ids() == {sent[0].id, better.id, sent[2].id}

    return Work(
        lambda node: node.take(*sent[:2]), lambda node: _admit(node, better, sent[2]), expect
    )


def expiring() -> Work:
    sent = make_transaction(ALICE, PARAMS, 0, BOB.address, 5, 1_000)

    def expire(node: ChainNode) -> None:
        node.admitter.expire(NOW + 86_400)

    def expect(node: ChainNode) -> None:
        assert node.pool_ids() == set()

    return Work(lambda node: node.take(sent), expire, expect)


def _offer(node: ChainNode, *blocks: Block) -> None:
    node.offer(*blocks)


def _admit(node: ChainNode, *transactions: Transaction) -> None:
    node.admit(*transactions)


WORKS = {
    work.__name__: work
    for work in (
        connecting,
        reorganising,
        finding_a_bad_branch,
        connecting_orphans,
        admitting,
        expiring,
    )
}


@pytest.mark.parametrize("name", WORKS)
def test_nothing_is_half_done_after_a_failure_at_any_step(name: str) -> None:
    steps = _fail_everywhere(WORKS[name](), lambda node, at: node.failing.fail(at))
    assert steps >= 3


@pytest.mark.parametrize("name", WORKS)
def test_goes_on_after_a_commit_that_only_looked_lost(name: str) -> None:
    commits = _fail_everywhere(WORKS[name](), lambda node, at: node.failing.lose_commit(at))
    assert commits >= 1


def _fail_everywhere(work: Work, arm: Callable[[ChainNode, int], None]) -> int:
    """Does the work with a failure at each step of it in turn; how many steps there are."""
    for step in range(1, MOST_STEPS):
        with sqlite_node(PARAMS) as node:
            work.prepare(node)
            arm(node, step)
            failed = False
            try:
                work.do(node)
            except StorageUnavailable:
                failed = True
                node.chain.reload(NOW)
                node.check()
                work.do(node)
            node.failing.fail(0)
            work.expect(node)
            node.check()
            node.restart()
            work.expect(node)
        if not failed:
            return step - 1
    raise AssertionError("the work never ended without a failure")


# -- damage ------------------------------------------------------------------------------------


def _damage(node: ChainNode, statement: Update) -> None:
    with node.engine.begin() as connection:
        assert connection.execute(statement).rowcount == 1


def test_a_damaged_block_is_the_databases_fault_not_the_offers() -> None:
    """A RuleError would blame, and mark invalid, blocks that are sound."""
    builder = ChainBuilder(PARAMS)
    branch = builder.fork(0)
    ours = builder.mine()
    theirs = [branch.mine(extra=b"t") for _ in range(2)]
    with sqlite_node(PARAMS) as node:
        node.offer(ours, theirs[0])
        _damage(node, update(blocks).where(blocks.c.hash == theirs[0].hash).values(raw=b"rot"))
        with pytest.raises(LedgerDamagedError, match="cairn doctor --repair"):
            node.offer(theirs[1])
        assert node.chain.tip.hash == ours.hash
        assert set(node.statuses()) == {PARAMS.network_id(), ours.hash, theirs[0].hash}
        assert BlockStatus.INVALID not in node.statuses().values()
        node.check()


@pytest.mark.parametrize("of_other_version", [True, False])
def test_a_damaged_header_is_the_databases_fault_not_the_offers(of_other_version: bool) -> None:
    """Neither one that cannot be read nor one that can, and is another block's."""
    builder = ChainBuilder(PARAMS)
    first, second, third = builder.mine(), builder.mine(), builder.mine()
    rotten = bytearray(second.header.encode())
    rotten[3 if of_other_version else 80] ^= 2
    with sqlite_node(PARAMS) as node:
        node.offer(first, second)
        where = blocks.c.hash == second.hash
        _damage(node, update(blocks).where(where).values(header=bytes(rotten)))
        with pytest.raises(DamagedRowError, match=second.hash.hex()):
            node.offer(third)
        with pytest.raises(DamagedRowError, match=second.hash.hex()):
            node.restart()
        assert BlockStatus.INVALID not in node.statuses().values()
