"""A template is a block that the same chain accepts once a nonce is found."""

from collections.abc import Callable

from cairn.chain.blockchain import BlockFate
from cairn.chain.pool import PoolPolicy
from cairn.chain.template import BlockTemplate, build_template
from cairn.consensus.block import Block
from cairn.consensus.errors import Rule
from cairn.consensus.proof_of_work import bits_to_target
from tests.support.builders import ChainBuilder, make_key, make_params, make_transaction
from tests.support.chain import NOW, ChainNode
from tests.support.refusals import refused

ALICE, BOB = make_key(1), make_key(2)
MakeNode = Callable[..., ChainNode]


def solve(template: BlockTemplate) -> Block:
    target = bits_to_target(template.header.bits)
    nonce = 0
    while int.from_bytes((block := template.solved(nonce)).hash, "big") > target:
        nonce += 1
    return block


def test_mines_what_waits_and_pays_subsidy_and_fees(node: ChainNode) -> None:
    waiting = [
        make_transaction(ALICE, node.params, sequence, BOB.address, 5, 700) for sequence in range(3)
    ]
    node.take(*waiting)
    template = build_template(node.chain, BOB.address, NOW + 5, extra=b"hello")
    assert template.transactions == tuple(waiting)
    assert template.coinbase.amount == node.params.initial_subsidy + 2_100
    assert template.header.timestamp == NOW + 5
    block = solve(template)
    assert node.offer(block, now=NOW + 5).fate is BlockFate.ACCEPTED
    assert len(node.pool) == 0
    assert build_template(node.chain, BOB.address, NOW + 6).transactions == ()
    node.check()


def test_leaves_held_transactions_out(node: ChainNode) -> None:
    node.take(make_transaction(ALICE, node.params, 1, BOB.address, 5, 700))
    assert build_template(node.chain, BOB.address, NOW).transactions == ()


def test_fills_a_block_to_its_last_byte_and_no_further(make_node: MakeNode) -> None:
    params = make_params(max_block_bytes=10_000)
    node = make_node(params, PoolPolicy(min_fee_per_byte=0))
    waiting = [
        make_transaction(make_key(number), params, sequence, BOB.address, 5, 700, data=bytes(99))
        for number in range(5)
        for sequence in range(10)
    ]
    node.take(*waiting)
    template = build_template(node.chain, BOB.address, NOW, extra=bytes(64))
    block = solve(template)
    assert 10_000 - 251 < len(block.raw) <= 10_000
    assert node.offer(block).fate is BlockFate.ACCEPTED
    assert len(node.pool) == 50 - len(template.transactions)
    node.check()


def test_follows_the_schedule_of_its_parent(make_node: MakeNode) -> None:
    params = make_params(
        target_interval_seconds=10, half_life_seconds=20, initial_target=0x2007FFFF
    )
    node, builder = make_node(params), ChainBuilder(params)
    node.offer(builder.mine(timestamp=NOW + 1))
    early = build_template(node.chain, BOB.address, NOW + 2)
    assert bits_to_target(early.header.bits) < bits_to_target(0x2007FFFF)
    assert node.offer(solve(early), now=NOW + 2).fate is BlockFate.ACCEPTED


def test_comes_after_the_median_where_the_clock_lags(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    node.offer(*(builder.mine(timestamp=NOW + 120 + step) for step in range(11)))
    median = builder.parent.median_time
    template = build_template(node.chain, BOB.address, median + 1 - 120)
    assert template.header.timestamp == median + 1
    assert node.offer(solve(template), now=median + 1 - 120).fate is BlockFate.ACCEPTED


def test_refuses_where_no_clock_would_take_the_block(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    node.offer(*(builder.mine(timestamp=NOW + 500 + step) for step in range(11)))
    median = builder.parent.median_time
    now = median - 120
    with refused(Rule.TIMESTAMP_TOO_NEW, timestamp=median + 1, now=now):
        build_template(node.chain, BOB.address, now)
