"""Random trees of blocks in random order: the most work wins, and the state follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.chain.blockchain import BlockFate, ChainChange
from cairn.consensus.block import Block
from cairn.consensus.ledger import (
    EMPTY_ACCOUNT,
    Account,
    apply_block,
    genesis_accounts,
)
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import ParentContext, genesis_context
from tests.support.builders import COIN, make_key, make_params, make_transaction, mine_block
from tests.support.chain import MUCH_LATER, ChainNode, sqlite_node

KEYS = [make_key(number) for number in range(4)]
PARAMS = make_params(
    {key.address: COIN for key in KEYS[:3]},
    target_interval_seconds=10,
    half_life_seconds=20,
    initial_target=0x2007FFFF,
    initial_subsidy=1_000,
)
"""Late blocks are easy and early ones are hard, so work and length differ."""
GENESIS_WORK = work_of(PARAMS.initial_target)


@dataclass(frozen=True)
class Plan:
    """A block to make: on which earlier one, how late, with what, and what is wrong with it."""

    parent: int
    delay: int
    transfers: Sequence[tuple[int, int, int]]
    fault: str


@dataclass(frozen=True)
class Branch:
    """A made block with all that follows from its chain."""

    block: Block | None
    context: ParentContext
    work: int
    state: dict[bytes, Account]
    is_valid: bool


plans = st.builds(
    Plan,
    parent=st.sampled_from([0, 0, 1, 2, 3]),
    delay=st.sampled_from([1, 10, 40]),
    transfers=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([1, 7, COIN])), max_size=3
    ),
    fault=st.sampled_from([""] * 12 + ["greedy", "overdraft", "forged"]),
)
trees = st.lists(plans, min_size=4, max_size=12)


def grow(tree: Sequence[Plan]) -> list[Branch]:
    """The blocks of a tree, genesis first. `parent` counts back from the latest block."""
    genesis = genesis_context(PARAMS)
    made = [Branch(None, genesis, GENESIS_WORK, genesis_accounts(PARAMS), is_valid=True)]
    for number, plan in enumerate(tree):
        parent = made[max(0, len(made) - 1 - plan.parent)]
        made.append(_child(parent, plan, number))
    return made


def _child(parent: Branch, plan: Plan, number: int) -> Branch:
    transactions = _transactions(parent.state, plan)
    claim = 10**9 if plan.fault == "greedy" else None
    block = mine_block(
        PARAMS,
        parent.context,
        transactions,
        KEYS[number % 4].address,
        parent.context.timestamp + plan.delay,
        claim,
        extra=bytes([number]),
    )
    state = dict(parent.state)
    if parent.is_valid and not plan.fault:
        state.update(apply_block(state, block, PARAMS))
    work = parent.work + work_of(block.header.bits)
    context = parent.context.extended_by(block.header, block.hash)
    return Branch(block, context, work, state, is_valid=parent.is_valid and not plan.fault)


def _transactions(state: dict[bytes, Account], plan: Plan) -> list[Transaction]:
    """The transfers that can be paid; the same on two branches where their senders are."""
    accounts = dict(state)
    made = []
    for sender, recipient, amount in plan.transfers:
        account = accounts.get(KEYS[sender].address, EMPTY_ACCOUNT)
        if account.balance < amount + 5:
            continue
        accounts[KEYS[sender].address] = Account(
            account.balance - amount - 5, account.next_sequence + 1
        )
        made.append(_transfer(sender, account.next_sequence, recipient, amount))
    if plan.fault == "overdraft":
        sequence = accounts[KEYS[0].address].next_sequence
        made.append(_transfer(0, sequence, 1, 10**15))
    if plan.fault == "forged":
        good = _transfer(1, accounts[KEYS[1].address].next_sequence, 2, 1)
        made.append(decode_transaction(good.raw[:-1] + b"\0", PARAMS.network_id()))
    return made


def _transfer(sender: int, sequence: int, recipient: int, amount: int) -> Transaction:
    address = KEYS[recipient].address
    return make_transaction(KEYS[sender], PARAMS, sequence, address, amount, 5)


def heaviest(made: Sequence[Branch]) -> tuple[int, set[bytes]]:
    """The most work of a valid chain, and the hashes of the tips that have it."""
    most = max(branch.work for branch in made if branch.is_valid)
    hashes = {branch.context.hash for branch in made if branch.is_valid and branch.work == most}
    return most, hashes


def assert_follows_most_work(node: ChainNode, made: Sequence[Branch]) -> None:
    most, tips = heaviest(made)
    assert node.chain.tip.chain_work == most
    assert node.chain.tip.hash in tips
    (state,) = [each.state for each in made if each.context.hash == node.chain.tip.hash]
    assert node.accounts() == {name: each for name, each in state.items() if each != EMPTY_ACCOUNT}
    node.check()


@settings(max_examples=40)
@given(trees, st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_with_the_same_work(tree: list[Plan], random: Random) -> None:
    made = grow(tree)
    blocks = [branch.block for branch in made if branch.block is not None]
    random.shuffle(blocks)
    with sqlite_node(PARAMS) as node:
        for block in blocks:
            result = node.chain.accept_block(block, MUCH_LATER)
            assert result.fate is not BlockFate.LATER
        assert_follows_most_work(node, made)
        node.restart()
        assert_follows_most_work(node, made)


@settings(max_examples=40)
@given(trees, st.lists(st.integers(0, 9), max_size=3), st.data())
def test_pool_and_state_are_right_after_every_block(
    tree: list[Plan], restarts: list[int], data: st.DataObject
) -> None:
    made = grow(tree)
    every = {
        each.id: each
        for branch in made
        if branch.block is not None
        for each in branch.block.transactions
    }
    offers = list(every.values())
    with sqlite_node(PARAMS) as node:
        for number, branch in enumerate(made):
            if branch.block is not None:
                known = {each.id for each in node.pool.select(2**30)}
                result = node.chain.accept_block(branch.block, MUCH_LATER)
                assert_loses_nothing(node, known, result.changes)
            if offers and data.draw(st.booleans()):
                node.admit(*data.draw(st.lists(st.sampled_from(offers), max_size=3)))
            if number in restarts:
                node.restart()
            assert_follows_most_work(node, made[: number + 1])


def assert_loses_nothing(
    node: ChainNode, waiting: set[bytes], changes: Sequence[ChainChange]
) -> None:
    """What waited or was mined is mined, waits, or cannot be paid any more in this chain."""
    returned = {
        each.id: each
        for change in changes
        for block in change.disconnected
        for each in block.transactions
    }
    gone = (set(returned) | waiting) - node.pool_ids()
    gone -= node.store.mined_ids(gone)
    accounts = node.accounts()
    for name in gone & set(returned):
        transaction = returned[name]
        account = accounts.get(transaction.sender, EMPTY_ACCOUNT)
        ahead = [each.cost for each in node.pool.select(2**30) if each.sender == transaction.sender]
        is_used = transaction.sequence < account.next_sequence
        assert is_used or transaction.cost + sum(ahead) > account.balance
