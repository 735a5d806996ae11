"""What a block does to accounts, forward and backward."""

import pytest

from cairn.consensus.block import Coinbase
from cairn.consensus.errors import Rule
from cairn.consensus.ledger import (
    Account,
    apply_block,
    apply_transaction,
    genesis_accounts,
    revert_block,
    touched_addresses,
)
from tests.support.builders import (
    COIN,
    NOBODY,
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
    mine_block,
)
from tests.support.refusals import refused

ALICE, BOB, MINER = (make_key(number) for number in range(3))
PARAMS = make_params({ALICE.address: 100 * COIN})
SUBSIDY = PARAMS.initial_subsidy


def pay(sequence: int, amount: int, fee: int = 0, sender=ALICE, to=BOB.address):
    return make_transaction(sender, PARAMS, sequence, to, amount, fee)


def apply(*transactions, claim: int | None = None, recipient: bytes = MINER.address):
    chain = ChainBuilder(PARAMS)
    block = mine_block(PARAMS, chain.parent, transactions, recipient, claim=claim)
    return apply_block(genesis_accounts(PARAMS), block, PARAMS)


def test_genesis_credits_the_allocations() -> None:
    assert genesis_accounts(PARAMS) == {ALICE.address: Account(100 * COIN, 0)}


def test_moves_the_amount_takes_the_fee_and_pays_the_miner() -> None:
    after = apply(pay(0, 30 * COIN, fee=7))
    assert after == {
        ALICE.address: Account(70 * COIN - 7, 1),
        BOB.address: Account(30 * COIN, 0),
        MINER.address: Account(SUBSIDY + 7, 0),
    }


def test_transactions_apply_in_order_within_the_block() -> None:
    after = apply(pay(0, 30), pay(1, 40), pay(0, 70, sender=BOB, to=ALICE.address))
    assert after[ALICE.address] == Account(100 * COIN, 2)
    assert after[BOB.address] == Account(0, 1)
    with refused(Rule.BALANCE_INSUFFICIENT, amount=70, balance=0):
        apply(pay(0, 70, sender=BOB, to=ALICE.address), pay(0, 70))


@pytest.mark.parametrize("sequence", [1, 2, 2**64 - 1])
def test_refuses_a_gap_in_the_sequence(sequence: int) -> None:
    with refused(Rule.SEQUENCE_MISMATCH, sequence=sequence, expected=0):
        apply(pay(sequence, 1))


def test_refuses_a_sequence_used_before() -> None:
    with refused(Rule.SEQUENCE_MISMATCH, sequence=0, expected=1):
        apply(pay(0, 1), pay(0, 1))


def test_allows_the_last_unit_and_refuses_one_more() -> None:
    after = apply(pay(0, 100 * COIN - 1, fee=1))
    assert after[ALICE.address] == Account(0, 1)
    with refused(Rule.BALANCE_INSUFFICIENT, amount=100 * COIN, fee=1, balance=100 * COIN):
        apply(pay(0, 100 * COIN, fee=1))


def test_a_payment_to_oneself_costs_the_fee_and_needs_the_amount() -> None:
    after = apply(pay(0, 40, fee=3, to=ALICE.address))
    assert after[ALICE.address] == Account(100 * COIN - 3, 1)
    with refused(Rule.BALANCE_INSUFFICIENT):
        apply(pay(0, 100 * COIN, fee=1, to=ALICE.address))


def test_a_refused_transaction_changes_nothing() -> None:
    state = genesis_accounts(PARAMS)
    for unsound in (pay(5, 1), pay(0, 200 * COIN), pay(0, 2**64 - 1)):
        with pytest.raises(Exception, match=r"sequence-mismatch|balance-insufficient"):
            apply_transaction(state, unsound)
    assert state == genesis_accounts(PARAMS)


def test_a_block_cannot_spend_its_own_reward() -> None:
    with refused(Rule.BALANCE_INSUFFICIENT, balance=0):
        apply(pay(0, 1, sender=MINER))


def test_the_miner_may_claim_less_and_destroys_the_rest() -> None:
    assert apply(claim=0)[MINER.address] == Account(0, 0)
    assert apply(claim=1)[MINER.address] == Account(1, 0)


def test_refuses_a_coinbase_of_more_than_subsidy_and_fees() -> None:
    assert apply(pay(0, 1, fee=5), claim=SUBSIDY + 5)[MINER.address].balance == SUBSIDY + 5
    with refused(Rule.COINBASE_AMOUNT, amount=SUBSIDY + 6, subsidy=SUBSIDY, fees=5):
        apply(pay(0, 1, fee=5), claim=SUBSIDY + 6)
    with refused(Rule.COINBASE_AMOUNT, amount=2**64 - 1):
        apply(claim=2**64 - 1)


def test_the_subsidy_halves_on_schedule_and_ends() -> None:
    params = make_params(initial_subsidy=5, halving_interval_blocks=2)
    found = [params.subsidy(height) for height in range(9)]
    assert found == [0, 5, 5, 2, 2, 1, 1, 0, 0]
    assert params.subsidy(2**32 - 1) == 0
    chain = ChainBuilder(params)
    for _ in range(2):
        chain.mine()
    block = mine_block(params, chain.parent, claim=5)
    with refused(Rule.COINBASE_AMOUNT, amount=5, subsidy=2):
        apply_block(chain.accounts, block, params)


def test_reverting_a_block_gives_the_accounts_before_it() -> None:
    chain = ChainBuilder(PARAMS)
    chain.mine([pay(0, 50)], recipient=BOB.address)
    before = {**chain.accounts, MINER.address: Account(0, 0)}
    block = chain.mine(
        [
            pay(1, 5, fee=2, to=ALICE.address),
            pay(0, 7, fee=1, sender=BOB, to=MINER.address),
            pay(1, 9, sender=BOB, to=ALICE.address),
        ],
        recipient=BOB.address,
    )
    assert revert_block(chain.accounts, block) == before


def test_only_touched_accounts_are_returned() -> None:
    chain = ChainBuilder(PARAMS)
    block = mine_block(PARAMS, chain.parent, [pay(0, 1)], MINER.address)
    bystander = {make_key(9).address: Account(9, 9)}
    after = apply_block({**genesis_accounts(PARAMS), **bystander}, block, PARAMS)
    assert set(after) == touched_addresses(block)
    assert set(after) == {ALICE.address, BOB.address, MINER.address}
    assert touched_addresses(altered_block(block, PARAMS, Coinbase(NOBODY, 0), [])) == {NOBODY}
