"""What web and command line ask of a database, on every engine."""

from dataclasses import replace

import pytest

from cairn.chain.store import BlockStatus, PoolRow
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction
from cairn.storage.answers import (
    AccountSummary,
    BlockSummary,
    MinedTransaction,
    PoolOrder,
    PoolTotals,
    WaitingTransaction,
)
from cairn.storage.queries import MAX_ROWS, Queries
from tests.integration.storage.ledger import RECEIVED_AT, Ledger
from tests.support.builders import ChainBuilder, make_key, make_transaction

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(77)


def add_to_pool(ledger: Ledger, *items: tuple[Transaction, int]) -> None:
    rows = [PoolRow(transaction.id, transaction.raw, at) for transaction, at in items]
    with ledger.store.transaction():
        ledger.store.change_pool(rows, ())


def send(ledger: Ledger, sequence: int, fee: int = 1_000, amount: int = 5) -> Transaction:
    return make_transaction(ALICE, ledger.params, sequence, BOB.address, amount, fee)


def test_answers_on_a_database_without_a_chain(queries: Queries) -> None:
    queries.ping()
    assert queries.network_id() is None
    assert queries.tip() is None
    assert queries.blocks(None, 10) == []
    assert queries.block_by_height(0) is None
    assert queries.block_by_hash(bytes(32)) is None
    assert queries.block_bytes(bytes(32)) is None
    assert queries.headers(0, 10) == []
    assert queries.recent_block_times(10) == []
    assert queries.transaction(bytes(32)) is None
    assert queries.account(bytes(20)) == AccountSummary(Account(0, 0), 0, 0, 0, 0)
    assert queries.account_transactions(bytes(20), None, 10) == []
    assert queries.accounts([bytes(20)]) == {}
    assert queries.pool_totals() == PoolTotals(0, 0, None)
    assert (queries.supply(), queries.transaction_count()) == (None, 0)
    assert queries.nodes() == []


def test_names_the_network(ledger: Ledger, queries: Queries) -> None:
    ledger.store.check_network(ledger.params.network_id())
    assert queries.network_id() == ledger.params.network_id()


def test_tells_a_block(ledger: Ledger, chain: ChainBuilder, queries: Queries) -> None:
    block = chain.mine([chain.send(ALICE, BOB.address, 5)], recipient=CAROL.address, extra=b"\xff")
    ledger.extend(block)
    expected = BlockSummary(
        hash=block.hash,
        header=block.header,
        chain_work=ledger.works[block.hash],
        status=BlockStatus.ACTIVE,
        transaction_count=1,
        chain_transactions=1,
        size_bytes=len(block.raw),
        fees=1_000,
        coinbase_recipient=CAROL.address,
        coinbase_amount=block.coinbase.amount,
        coinbase_extra=b"\xff",
        received_at=RECEIVED_AT,
    )
    assert queries.tip() == expected
    assert queries.block_by_height(1) == expected
    assert queries.block_by_hash(block.hash) == expected
    assert queries.block_bytes(block.hash) == block.raw


def test_tells_a_side_branch_by_hash_alone(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    main, side = chain.mine(), chain.fork(0).mine(extra=b"side")
    ledger.extend(main)
    ledger.keep(side)
    found = queries.block_by_hash(side.hash)
    assert found is not None
    assert (found.hash, found.status) == (side.hash, BlockStatus.STORED)
    by_height = queries.block_by_height(1)
    assert by_height is not None
    assert by_height.hash == main.hash
    assert [block.hash for block in queries.blocks(2, 1)] == [main.hash]


def test_pages_blocks_newest_first(ledger: Ledger, chain: ChainBuilder, queries: Queries) -> None:
    ledger.extend(*(chain.mine() for _ in range(6)))
    seen: list[int] = []
    page = queries.blocks(None, 3)
    while page:
        seen += [block.height for block in page]
        page = queries.blocks(page[-1].height, 3)
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_gives_raw_headers_from_a_height(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    mined = [chain.mine() for _ in range(5)]
    ledger.extend(*mined)
    assert queries.headers(2, 3) == [block.header.encode() for block in mined[1:4]]
    assert queries.headers(5, 100) == [mined[-1].header.encode()]
    assert queries.headers(6, 100) == []


def test_gives_times_and_work_of_recent_blocks(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    mined = [chain.mine() for _ in range(5)]
    ledger.extend(*mined)
    expected = [(block.header.timestamp, ledger.works[block.hash]) for block in mined[-2:]]
    assert queries.recent_block_times(2) == expected


def test_counts_transactions_of_the_active_chain(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    side = chain.fork(0)
    side_block = side.mine([side.send(key, CAROL.address, 1) for key in (ALICE, BOB)])
    ledger.extend(
        chain.mine([chain.send(key, CAROL.address, 1) for key in (ALICE, BOB, make_key(3))]),
        chain.mine([chain.send(ALICE, CAROL.address, 1)]),
    )
    ledger.keep(side_block)
    assert queries.transaction_count() == 4


def test_sums_the_supply(ledger: Ledger, chain: ChainBuilder, queries: Queries) -> None:
    ledger.extend(chain.mine([chain.send(ALICE, BOB.address, 5)], claim=10))
    allocated = sum(amount for _, amount in ledger.params.allocations)
    supply = queries.supply()
    assert supply is not None
    assert (supply.height, supply.units) == (1, allocated + 10 - 1_000)
    tip = queries.tip()
    assert tip is not None
    assert supply.block_hash == tip.hash

    ledger.extend(chain.mine([chain.send(ALICE, BOB.address, 5)], claim=7))
    newer = queries.supply()
    assert newer is not None
    assert queries.followed_supply(supply, newer.block_hash, newer.height) == newer
    assert queries.followed_supply(newer, supply.block_hash, supply.height) is None
    stranger = replace(supply, block_hash=bytes(32))
    assert queries.followed_supply(stranger, newer.block_hash, newer.height) is None
    assert queries.followed_supply(supply, bytes(32), newer.height) is None


# -- transactions --------------------------------------------------------------------------------


def test_finds_a_mined_transaction(ledger: Ledger, chain: ChainBuilder, queries: Queries) -> None:
    first, second = chain.send(ALICE, BOB.address, 5), chain.send(BOB, ALICE.address, 6)
    block = chain.mine([first, second])
    ledger.extend(block)
    assert queries.transaction(second.id) == MinedTransaction(
        second.id, second.raw, 1, 1, block.hash, block.header.timestamp
    )


def test_finds_a_waiting_transaction(ledger: Ledger, queries: Queries) -> None:
    sent = send(ledger, 3, fee=1_520)
    add_to_pool(ledger, (sent, 44))
    assert queries.transaction(sent.id) == WaitingTransaction(
        sent.id, sent.raw, 44, ALICE.address, 3, (1_520 << 20) // 152
    )


def test_lists_what_an_account_sent_and_received_newest_first(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    mine = []
    for _ in range(4):
        batch = [
            chain.send(ALICE, BOB.address, 1),
            chain.send(BOB, CAROL.address, 2),
            chain.send(make_key(3), ALICE.address, 3),
            chain.send(make_key(4), make_key(4).address, 3),
        ]
        ledger.extend(chain.mine(batch))
        mine += [batch[0].id, batch[2].id]
    for limit in (1, 2, 3, 100):
        found: list[MinedTransaction] = []
        page = queries.account_transactions(ALICE.address, None, limit)
        while page:
            assert len(page) <= limit
            found += page
            page = queries.account_transactions(ALICE.address, page[-1].cursor, limit)
        assert [item.id for item in found] == mine[::-1]
    assert found[0].block_hash == chain.blocks[-1].hash
    assert found[0].block_time == chain.blocks[-1].header.timestamp


def test_lists_a_transaction_to_oneself_once(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    sent = chain.send(ALICE, ALICE.address, 5)
    ledger.extend(chain.mine([sent]))
    assert [item.id for item in queries.account_transactions(ALICE.address, None, 9)] == [sent.id]


# -- accounts --------------------------------------------------------------------------------------


def test_tells_an_account_confirmed_and_pending(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(chain.mine([chain.send(ALICE, BOB.address, 5)]))
    add_to_pool(
        ledger,
        (send(ledger, 1, fee=200, amount=10), 1),
        (send(ledger, 2, fee=300, amount=20), 1),
        (send(ledger, 4, fee=400, amount=30), 1),  # waits for sequence 3
        (make_transaction(BOB, ledger.params, 0, ALICE.address, 7, 250), 1),
    )
    assert queries.account(ALICE.address) == AccountSummary(
        confirmed=chain.accounts[ALICE.address],
        pending_sent=60 + 900,
        pending_received=7,
        pending_count=3,
        next_sequence=3,
    )
    pending = queries.account(BOB.address)
    assert (pending.pending_received, pending.pending_count) == (60, 1)
    assert pending.pending_balance == chain.accounts[BOB.address].balance + 60 - 257


def test_gives_the_accounts_that_exist(ledger: Ledger, queries: Queries) -> None:
    found = queries.accounts([ALICE.address, CAROL.address])
    assert found == {
        ALICE.address: dict(ledger.store.load_accounts([ALICE.address]))[ALICE.address]
    }


# -- pool ------------------------------------------------------------------------------------------


def test_sums_the_pool(ledger: Ledger, queries: Queries) -> None:
    items = [(send(ledger, sequence), 50 - sequence) for sequence in range(3)]
    add_to_pool(ledger, *items)
    assert queries.pool_totals() == PoolTotals(3, 3 * 152, 48)


def test_payments_to_oneself_leave_room_for_those_of_others(
    ledger: Ledger, queries: Queries
) -> None:
    to_self = [
        make_transaction(ALICE, ledger.params, number, ALICE.address, 50, 1_000)
        for number in range(3)
    ]
    others = make_transaction(BOB, ledger.params, 0, ALICE.address, 7, 1_000)
    add_to_pool(ledger, *((each, RECEIVED_AT) for each in (*to_self, others)))
    sent, received = queries.account_pool(ALICE.address, 3)
    assert [each.id for each in sent] == [each.id for each in to_self]
    assert [each.id for each in received] == [others.id]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("order", PoolOrder)
def test_pages_the_pool_in_every_order(
    ledger: Ledger, queries: Queries, order: PoolOrder, limit: int
) -> None:
    items = [
        (make_transaction(make_key(n % 3), ledger.params, n, BOB.address, 5, 900 + n % 4), n % 5)
        for n in range(17)
    ]
    add_to_pool(ledger, *items)
    sort_key = {
        PoolOrder.FEE_RATE: lambda item: (-item.fee_rate, [-byte for byte in item.id]),
        PoolOrder.AGE: lambda item: (item.received_at, item.id),
        PoolOrder.SENDER: lambda item: (item.sender, item.sequence),
    }[order]
    found: list[WaitingTransaction] = []
    page = queries.pool(order, None, limit)
    while page:
        assert len(page) <= limit
        found += page
        page = queries.pool(order, page[-1].cursor(order), limit)
    assert found == sorted(found, key=sort_key)
    assert {item.id for item in found} == {transaction.id for transaction, _ in items}
    assert len(found) == len(items)


@pytest.mark.parametrize("limit", [-5, 0])
def test_no_list_is_longer_than_asked(ledger: Ledger, queries: Queries, limit: int) -> None:
    add_to_pool(ledger, (send(ledger, 0), 1))
    assert queries.blocks(None, limit) == []
    assert queries.headers(0, limit) == []
    assert queries.recent_block_times(limit) == []
    assert queries.pool(PoolOrder.AGE, None, limit) == []
    assert queries.account_transactions(ALICE.address, None, limit) == []


def test_no_list_is_longer_than_the_limit_for_all(ledger: Ledger, queries: Queries) -> None:
    rows = [PoolRow(n.to_bytes(32, "big"), send(ledger, 0).raw, 1) for n in range(MAX_ROWS + 1)]
    with ledger.store.transaction():
        ledger.store.change_pool(rows, ())
    assert len(queries.pool(PoolOrder.AGE, None, 10**9)) == MAX_ROWS
