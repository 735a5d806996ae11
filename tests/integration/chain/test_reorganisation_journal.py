"""What a reorganisation undid is kept with it, in one database transaction, on every database."""

import contextlib
from collections.abc import Callable

import pytest

from cairn.chain.store import Reorganisation
from cairn.consensus.proof_of_work import work_of
from cairn.storage.errors import StorageUnavailable
from cairn.storage.queries import Queries
from tests.support.builders import COIN, ChainBuilder, make_key, make_transaction
from tests.support.chain import MUCH_LATER, NOW, ChainNode

ALICE, BOB, CAROL, DAVE = (make_key(number) for number in range(1, 5))
MakeNode = Callable[..., ChainNode]


def kept(node: ChainNode) -> list[Reorganisation]:
    """The journal, newest first."""
    return [each.record for each in Queries(node.engine).reorganisations(None, 100)]


def branches_of(node: ChainNode) -> tuple[ChainBuilder, ChainBuilder]:
    """Two branches on height 1: the followed one has three transactions in two blocks, the other
    one of them, and one that spends what another of them did."""
    first = ChainBuilder(node.params)
    node.offer(first.mine())
    second = first.fork(1)
    both = first.send(ALICE, CAROL.address, 5)
    lost, returned = first.send(BOB, CAROL.address, 6), first.send(CAROL, BOB.address, 7)
    node.offer(first.mine([both, lost]), first.mine([returned]))
    replaced = make_transaction(BOB, node.params, 0, DAVE.address, COIN, 9_000)
    second.mine([both, replaced])
    second.mine()
    second.mine()
    return first, second


def test_growth_alone_is_no_reorganisation(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    node.offer(builder.mine(), builder.mine(), builder.mine())
    assert kept(node) == []


def test_says_what_was_undone_and_what_became_of_it(node: ChainNode) -> None:
    first, second = branches_of(node)
    node.offer(*second.blocks[1:])
    assert node.chain.tip.hash == second.blocks[-1].hash
    work = work_of(first.blocks[0].header.bits)
    assert kept(node) == [
        Reorganisation(
            happened_at=MUCH_LATER,
            fork_height=1,
            fork_hash=first.blocks[0].hash,
            old_tip=first.blocks[-1].hash,
            new_tip=second.blocks[-1].hash,
            old_work=4 * work,
            new_work=5 * work,
            blocks_undone=2,
            blocks_connected=3,
            transactions_undone=3,
            transactions_mined_again=1,
            transactions_returned=1,
        )
    ]


@pytest.mark.parametrize("failing_call", range(1, 40, 4))
def test_is_kept_with_the_move_or_not_at_all(make_node: MakeNode, failing_call: int) -> None:
    node = make_node()
    _first, second = branches_of(node)
    node.offer(*second.blocks[1:3])
    node.failing.fail(failing_call)
    with contextlib.suppress(StorageUnavailable):
        node.offer(second.blocks[-1])
    node.failing.fail(0)
    node.restart()
    moved = node.chain.tip.hash == second.blocks[-1].hash
    assert [each.new_tip for each in kept(node)] == [second.blocks[-1].hash] * moved
    node.check()


def test_moves_back_and_forth_are_all_kept_newest_first(node: ChainNode) -> None:
    main = ChainBuilder(node.params)
    node.offer(main.mine())
    side = main.fork(0)
    node.offer(side.mine(extra=b"side"), side.mine())
    node.offer(main.mine(), main.mine())
    assert [each.new_tip for each in kept(node)] == [main.blocks[-1].hash, side.blocks[-1].hash]
    node.restart()
    assert len(kept(node)) == 2
    assert NOW < MUCH_LATER == kept(node)[0].happened_at
