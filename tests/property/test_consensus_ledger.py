"""For any valid chain: coins come from genesis and coinbases alone, and every block reverts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.consensus.block import Block
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import Account, apply_block, revert_block, touched_addresses
from cairn.consensus.transaction import Transaction, UnsignedTransaction, attach_signature
from cairn.consensus.validation import check_block_sanity, check_header
from tests.support.builders import ChainBuilder, make_key, make_params

KEYS = [make_key(number) for number in range(4)]
ALLOCATED = 1_000
PARAMS = make_params(
    {key.address: ALLOCATED for key in KEYS[:2]}, initial_subsidy=100, halving_interval_blocks=3
)
NETWORK = PARAMS.network_id()

# (sender, recipient, share of the balance in percent, fee, data)
intents = st.tuples(
    st.integers(0, 3),
    st.integers(0, 4),
    st.integers(0, 100),
    st.integers(0, 9),
    st.binary(max_size=3),
)
plans = st.lists(
    st.tuples(st.lists(intents, max_size=6), st.integers(0, 4), st.integers(0, 100)), max_size=5
)
"""Blocks: what is sent, who mines, and the percentage of the reward claimed."""


@settings(max_examples=60)
@given(plans)
def test_balances_are_allocations_and_claims_less_fees(
    plan: list[tuple[list[tuple[int, int, int, int, bytes]], int, int]],
) -> None:
    chain = ChainBuilder(PARAMS)
    claimed = fees = 0
    for wanted, miner, percent in plan:
        transactions = _spendable(chain.accounts, wanted)
        block_fees = sum(transaction.fee for transaction in transactions)
        reward = PARAMS.subsidy(len(chain.blocks) + 1) + block_fees
        chain.mine(transactions, _address(miner), claim=reward * percent // 100)
        claimed += reward * percent // 100
        fees += block_fees
        supply = sum(account.balance for account in chain.accounts.values())
        assert supply == 2 * ALLOCATED + claimed - fees
        assert all(account.balance >= 0 for account in chain.accounts.values())
        subsidies = sum(PARAMS.subsidy(height + 1) for height in range(len(chain.blocks)))
        assert supply <= 2 * ALLOCATED + subsidies


@settings(max_examples=60)
@given(plans)
def test_reverting_every_block_gives_genesis_back(
    plan: list[tuple[list[tuple[int, int, int, int, bytes]], int, int]],
) -> None:
    chain = ChainBuilder(PARAMS)
    history = [dict(chain.accounts)]
    for wanted, miner, _ in plan:
        chain.mine(_spendable(chain.accounts, wanted), _address(miner))
        history.append(dict(chain.accounts))
    state = dict(chain.accounts)
    for block, before in zip(reversed(chain.blocks), reversed(history[:-1]), strict=True):
        state.update(revert_block(_touched(state, block), block))
        assert _not_empty(state) == _not_empty(before)


@settings(max_examples=40)
@given(plans)
def test_every_block_of_the_builder_passes_every_check(
    plan: list[tuple[list[tuple[int, int, int, int, bytes]], int, int]],
) -> None:
    chain = ChainBuilder(PARAMS)
    for wanted, miner, _ in plan:
        parent = chain.parent
        block = chain.mine(_spendable(chain.accounts, wanted), _address(miner))
        check_header(block.header, block.hash, parent, PARAMS, now=block.header.timestamp)
        check_block_sanity(block, PARAMS)


@settings(max_examples=80)
@given(st.lists(intents, max_size=6), st.permutations(range(6)))
def test_a_shuffled_block_is_refused_or_sums_up_all_the_same(
    wanted: list[tuple[int, int, int, int, bytes]], order: list[int]
) -> None:
    chain = ChainBuilder(PARAMS)
    transactions = _spendable(chain.accounts, wanted)
    shuffled = [transactions[place] for place in order if place < len(transactions)]
    before = dict(chain.accounts)
    try:
        block = chain.mine(shuffled, _address(3))
    except RuleError:
        assert chain.accounts == before
        return
    after = apply_block(_touched(before, block), block, PARAMS)
    supply = sum(account.balance for account in {**before, **after}.values())
    assert supply == 2 * ALLOCATED + PARAMS.subsidy(1)


def _spendable(
    accounts: dict[bytes, Account], wanted: list[tuple[int, int, int, int, bytes]]
) -> list[Transaction]:
    """Transactions that follow one another from `accounts`, tracked apart from the ledger.

    Their signatures are zeros: `ledger` does not look at them, and its checks come later.
    """
    balances = {address: account.balance for address, account in accounts.items()}
    sequences = {address: account.next_sequence for address, account in accounts.items()}
    found = []
    for sender, recipient, percent, fee, data in wanted:
        key, to = KEYS[sender], _address(recipient)
        balance = balances.get(key.address, 0)
        amount = balance * percent // 100
        if amount + fee > balance or (amount == 0 and not data):
            continue
        sequence = sequences.get(key.address, 0)
        unsigned = UnsignedTransaction(key.public_key, sequence, to, amount, fee, 0, data)
        found.append(attach_signature(unsigned, bytes(64), NETWORK))
        sequences[key.address] = sequence + 1
        balances[key.address] = balance - amount - fee
        balances[to] = balances.get(to, 0) + amount
    return found


def _address(number: int) -> bytes:
    return KEYS[number].address if number < len(KEYS) else bytes(20)


def _touched(state: dict[bytes, Account], block: Block) -> dict[bytes, Account]:
    return {address: state[address] for address in touched_addresses(block) if address in state}


def _not_empty(state: dict[bytes, Account]) -> dict[bytes, Account]:
    return {address: account for address, account in state.items() if account != Account(0, 0)}
