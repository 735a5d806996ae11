"""What the chain asks of its store, on every database."""

import pytest
from sqlalchemy import Engine, select

from cairn.chain.store import BlockEntry, BlockStatus, PoolRow
from cairn.consensus.block import Coinbase
from cairn.consensus.ledger import Account, genesis_accounts
from cairn.consensus.transaction import Transaction
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.errors import StorageError
from cairn.storage.tables import MAX_INTEGER, blocks, pool, transactions
from tests.integration.storage.ledger import RECEIVED_AT, Ledger
from tests.support.builders import (
    COIN,
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
)

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(77)


def pool_row(transaction: Transaction, received_at: int = 5) -> PoolRow:
    return PoolRow(transaction.id, transaction.raw, received_at)


def add_to_pool(store: SqlChainStore, *rows: PoolRow) -> None:
    with store.transaction():
        store.change_pool(rows, ())


# -- blocks ------------------------------------------------------------------------------------


def test_has_no_tip_before_genesis(store: SqlChainStore) -> None:
    assert store.tip() is None
    assert store.active_entries(0, 10) == []
    assert store.load_pool() == []


def test_genesis_becomes_the_tip_with_its_allocations(store: SqlChainStore) -> None:
    ledger = Ledger(store)
    genesis = ledger.start()
    assert store.tip() == ledger.entry(genesis, BlockStatus.ACTIVE)
    allocated = genesis_accounts(ledger.params)
    assert store.load_accounts(allocated) == allocated


def test_tells_a_block_as_it_was_stored(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine([chain.send(ALICE, BOB.address, 5, data=bytes(range(256)))])
    ledger.keep(block)
    assert ledger.store.entry(block.hash) == ledger.entry(block)
    assert ledger.store.load_block_bytes(block.hash) == block.raw


def test_knows_nothing_of_a_block_that_was_not_stored(ledger: Ledger) -> None:
    assert ledger.store.entry(bytes(32)) is None
    assert ledger.store.load_block_bytes(bytes(32)) is None
    assert ledger.store.ancestors(bytes(32), 5) == []


def test_refuses_to_store_a_block_twice(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine()
    ledger.keep(block)
    with pytest.raises(StorageError):
        ledger.keep(block)


def test_stores_a_block_whose_amounts_no_column_holds(
    ledger: Ledger, chain: ChainBuilder, engine: Engine
) -> None:
    greedy = make_transaction(ALICE, ledger.params, 0, BOB.address, 2**64 - 2, 2**64 - 1)
    block = altered_block(
        chain.mine(), ledger.params, coinbase=Coinbase(BOB.address, 2**64 - 1, b"x" * 64),
        transactions=[greedy, greedy],
    )  # fmt: skip
    ledger.keep(block)
    assert ledger.store.load_block_bytes(block.hash) == block.raw
    with engine.connect() as connection:
        row = connection.execute(select(blocks).where(blocks.c.hash == block.hash)).one()
    assert (row.fees, row.coinbase_amount) == (MAX_INTEGER, MAX_INTEGER)


def test_stores_all_columns_of_a_block(ledger: Ledger, chain: ChainBuilder, engine: Engine) -> None:
    first = chain.mine([chain.send(ALICE, BOB.address, 5)])
    second = chain.mine(
        [chain.send(ALICE, BOB.address, 5, fee=7), chain.send(BOB, ALICE.address, 5, fee=8)],
        recipient=CAROL.address,
        extra=b"\x00extra'\\%\xff",
    )
    ledger.extend(first, second)
    with engine.connect() as connection:
        row = connection.execute(select(blocks).where(blocks.c.hash == second.hash)).one()
    assert row._asdict() == {
        "hash": second.hash,
        "height": 2,
        "previous_hash": first.hash,
        "header": second.header.encode(),
        "chain_work": ledger.works[second.hash].to_bytes(32, "big"),
        "status": BlockStatus.ACTIVE,
        "transaction_count": 2,
        "chain_transactions": 3,
        "size_bytes": len(second.raw),
        "fees": 15,
        "coinbase_recipient": CAROL.address,
        "coinbase_amount": second.coinbase.amount,
        "coinbase_extra": b"\x00extra'\\%\xff",
        "received_at": RECEIVED_AT,
        "raw": second.raw,
    }


def test_keeps_work_above_64_bits_in_order(ledger: Ledger, chain: ChainBuilder) -> None:
    light, heavy, heaviest = (
        chain.mine(),
        chain.fork(0).mine(extra=b"b"),
        chain.fork(0).mine(extra=b"c"),
    )
    works = {light: 2**64 - 1, heavy: 2**64, heaviest: 2**255 + 1}
    with ledger.store.transaction():
        for block, work in works.items():
            entry = BlockEntry(block.hash, block.header, work, BlockStatus.STORED)
            ledger.store.insert_block(entry, block, 0)
    found = ledger.store.heavier_stored(2**64 - 1)
    assert [entry.chain_work for entry in found] == [2**255 + 1, 2**64]


def test_lists_active_blocks_from_a_height(ledger: Ledger, chain: ChainBuilder) -> None:
    mined = [chain.mine() for _ in range(5)]
    ledger.extend(*mined)
    ledger.keep(chain.fork(2).mine(extra=b"side"))
    found = ledger.store.active_entries(2, 3)
    assert [entry.hash for entry in found] == [block.hash for block in mined[1:4]]
    assert ledger.store.active_entries(6, 10) == []
    assert ledger.store.active_entries(0, 0) == []


def test_walks_ancestors_across_branch_and_active_chain(
    ledger: Ledger, chain: ChainBuilder
) -> None:
    shared = [chain.mine() for _ in range(4)]
    branch = chain.fork(3)
    side = [branch.mine(extra=b"side") for _ in range(3)]
    ledger.extend(*shared)
    ledger.keep(*side)
    expected = [*reversed(side), *reversed(shared[:3]), ledger.params.genesis_block()]
    hashes = [block.hash for block in expected]
    for count in (0, 1, 3, 4, 5, 7):
        found = ledger.store.ancestors(side[-1].hash, count)
        assert [entry.hash for entry in found] == hashes[:count]
    assert [entry.hash for entry in ledger.store.ancestors(side[-1].hash, 100)] == hashes


def test_walks_a_branch_longer_than_one_statement(ledger: Ledger, chain: ChainBuilder) -> None:
    side = [chain.mine() for _ in range(450)]
    ledger.keep(*side)
    found = ledger.store.ancestors(side[-1].hash, 449)
    assert [entry.hash for entry in found] == [block.hash for block in reversed(side[1:])]


def test_lists_descendants_parents_first(ledger: Ledger, chain: ChainBuilder) -> None:
    root = chain.mine()
    left = chain.fork(1)
    right = chain.fork(1)
    lefts = [left.mine(extra=b"l") for _ in range(2)]
    rights = [right.mine(extra=b"r") for _ in range(3)]
    ledger.keep(root, *lefts, *rights)
    found = ledger.store.descendants(root.hash)
    assert set(found) == {block.hash for block in [*lefts, *rights]}
    for branch in (lefts, rights):
        places = [found.index(block.hash) for block in branch]
        assert places == sorted(places)
    assert ledger.store.descendants(rights[-1].hash) == []


def test_lists_only_stored_blocks_as_heavier(ledger: Ledger, chain: ChainBuilder) -> None:
    active, stored, invalid = (
        chain.mine(),
        chain.fork(0).mine(extra=b"s"),
        chain.fork(0).mine(extra=b"i"),
    )
    ledger.extend(active)
    ledger.keep(stored, invalid)
    with ledger.store.transaction():
        ledger.store.mark_invalid([invalid.hash])
    assert [entry.hash for entry in ledger.store.heavier_stored(0)] == [stored.hash]
    assert ledger.store.heavier_stored(ledger.works[stored.hash]) == []


def test_lists_at_most_a_hundred_heavier_blocks_heaviest_first(
    ledger: Ledger, chain: ChainBuilder
) -> None:
    ledger.keep(*(chain.mine() for _ in range(105)))
    works = [entry.chain_work for entry in ledger.store.heavier_stored(0)]
    assert works == sorted(works, reverse=True)
    assert (len(works), works[0]) == (100, max(ledger.works.values()))


def test_marks_blocks_invalid(ledger: Ledger, chain: ChainBuilder) -> None:
    bad, good = chain.mine(), chain.fork(0).mine(extra=b"good")
    ledger.keep(bad, good)
    with ledger.store.transaction():
        ledger.store.mark_invalid([bad.hash])
        ledger.store.mark_invalid([])
    assert ledger.store.entry(bad.hash) == ledger.entry(bad, BlockStatus.INVALID)
    assert ledger.store.entry(good.hash) == ledger.entry(good, BlockStatus.STORED)


# -- state -------------------------------------------------------------------------------------


def test_connecting_moves_tip_accounts_index_and_pool(
    ledger: Ledger, chain: ChainBuilder, engine: Engine
) -> None:
    mined, waiting = chain.send(ALICE, CAROL.address, 5), chain.send(BOB, ALICE.address, 6)
    add_to_pool(ledger.store, pool_row(mined), pool_row(waiting))
    block = chain.mine([mined], recipient=CAROL.address)
    ledger.extend(block)
    assert ledger.store.tip() == ledger.entry(block, BlockStatus.ACTIVE)
    assert ledger.store.load_accounts(chain.accounts) == chain.accounts
    assert ledger.store.mined_ids([mined.id, waiting.id]) == {mined.id}
    assert ledger.store.load_pool() == [pool_row(waiting)]
    with engine.connect() as connection:
        row = connection.execute(select(transactions)).one()
    assert tuple(row) == (
        1, 0, mined.id, ALICE.address, CAROL.address, 5, mined.fee, mined.raw,
    )  # fmt: skip


def test_disconnecting_undoes_connecting(ledger: Ledger, chain: ChainBuilder) -> None:
    before = dict(chain.accounts)
    sent = chain.send(ALICE, CAROL.address, 5)
    block = chain.mine([sent], recipient=make_key(99).address)
    ledger.extend(block)
    with ledger.store.transaction():
        ledger.disconnect(block)
    assert ledger.store.tip() == ledger.entry(ledger.params.genesis_block(), BlockStatus.ACTIVE)
    assert ledger.store.entry(block.hash) == ledger.entry(block)
    assert ledger.store.load_accounts([*before, CAROL.address, make_key(99).address]) == before
    assert ledger.store.mined_ids([sent.id]) == set()


def test_reorganises_in_one_transaction(ledger: Ledger, chain: ChainBuilder) -> None:
    branch = chain.fork(0)
    old = chain.mine([chain.send(ALICE, BOB.address, 5)])
    new = [branch.mine([branch.send(ALICE, BOB.address, 6)]), branch.mine()]
    ledger.extend(old)
    with ledger.store.transaction():
        ledger.disconnect(old)
        for block in new:
            ledger.insert(block)
            ledger.connect(block)
        assert ledger.store.tip() == ledger.entry(new[-1], BlockStatus.ACTIVE)
    assert [entry.hash for entry in ledger.store.active_entries(1, 9)] == [b.hash for b in new]
    assert ledger.store.load_accounts(branch.accounts) == branch.accounts


def test_refuses_to_connect_a_block_that_is_not_stored(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine()
    with pytest.raises(StorageError, match=block.hash.hex()), ledger.store.transaction():
        ledger.connect(block)


def test_loads_more_accounts_than_one_statement_takes(store: SqlChainStore) -> None:
    allocations = {make_key(number).address: number + 1 for number in range(1_203)}
    ledger = Ledger(store, make_params(allocations))
    ledger.start()
    strangers = [make_key(number).address for number in range(2_000, 2_010)]
    found = store.load_accounts([*allocations, *strangers])
    assert found == {address: Account(amount, 0) for address, amount in allocations.items()}
    assert store.load_accounts([]) == {}


def test_keeps_the_largest_balance_there_can_be(store: SqlChainStore) -> None:
    params = make_params({ALICE.address: 2**63 - 1}, initial_subsidy=0)
    Ledger(store, params).start()
    assert store.load_accounts([ALICE.address]) == {ALICE.address: Account(2**63 - 1, 0)}


def test_tells_which_of_many_ids_are_mined(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine([chain.send(make_key(n), BOB.address, 5) for n in range(3, 10)])
    ledger.extend(block)
    mined = {transaction.id for transaction in block.transactions}
    others = {number.to_bytes(32, "big") for number in range(1_500)}
    assert ledger.store.mined_ids(mined | others) == mined
    assert ledger.store.mined_ids([]) == set()


def test_connects_a_block_of_two_thousand_transactions(store: SqlChainStore) -> None:
    senders = [make_key(number) for number in range(200)]
    ledger = Ledger(store, make_params({key.address: COIN for key in senders}))
    ledger.start()
    chain = ChainBuilder(ledger.params)
    many = [
        make_transaction(
            key, ledger.params, sequence, number.to_bytes(20, "big"), 1_000, 200, bytes(sequence)
        )
        for number, key in enumerate(senders)
        for sequence in range(10)
    ]
    add_to_pool(store, *map(pool_row, many))
    block = chain.mine(many)
    ledger.extend(block)
    assert len(block.transactions) == 2_000
    assert store.load_pool() == []
    assert store.load_accounts(chain.accounts) == chain.accounts
    assert store.mined_ids([item.id for item in many]) == {item.id for item in many}
    with store.transaction():
        ledger.disconnect(block)
    assert store.load_accounts(chain.accounts) == genesis_accounts(ledger.params)
    assert store.mined_ids([item.id for item in many]) == set()


def test_connects_the_largest_block_a_network_may_allow(store: SqlChainStore) -> None:
    params = make_params(max_block_bytes=4_000_000, max_data_bytes=65_535)
    ledger = Ledger(store, params)
    ledger.start()
    chain = ChainBuilder(params)
    size = 65_535
    many = [
        make_transaction(
            ALICE, params, sequence, BOB.address, 0, 70_000, b"'\\\0\n\xff" * (size // 5)
        )
        for sequence in range(60)
    ]
    block = chain.mine(many)
    assert 3_900_000 < len(block.raw) <= params.max_block_bytes
    ledger.extend(block)
    assert store.load_block_bytes(block.hash) == block.raw
    assert store.load_accounts(chain.accounts) == chain.accounts
    assert store.mined_ids([item.id for item in many]) == {item.id for item in many}


# -- pool --------------------------------------------------------------------------------------


def test_pool_lists_oldest_first(ledger: Ledger, chain: ChainBuilder) -> None:
    rows = [
        pool_row(chain.send(make_key(number), CAROL.address, 5), received_at)
        for number, received_at in ((1, 30), (2, 10), (3, 20))
    ]
    add_to_pool(ledger.store, *rows)
    assert [row.received_at for row in ledger.store.load_pool()] == [10, 20, 30]


def test_pool_lists_a_senders_of_the_same_second_by_sequence(ledger: Ledger) -> None:
    rows = [
        pool_row(make_transaction(ALICE, ledger.params, sequence, BOB.address, 1, 500))
        for sequence in (3, 1, 0, 2)
    ]
    add_to_pool(ledger.store, *rows)
    assert ledger.store.load_pool() == [rows[2], rows[1], rows[3], rows[0]]


def test_pool_ignores_what_is_there_and_what_is_not(ledger: Ledger, chain: ChainBuilder) -> None:
    first, second = (pool_row(chain.send(key, CAROL.address, 5)) for key in (ALICE, BOB))
    add_to_pool(ledger.store, first)
    with ledger.store.transaction():
        again = PoolRow(first.id, first.raw, first.received_at + 100)
        ledger.store.change_pool([again, second], [bytes(32)])
    assert set(ledger.store.load_pool()) == {first, second}
    with ledger.store.transaction():
        ledger.store.change_pool([], [first.id, bytes(32)])
    assert ledger.store.load_pool() == [second]


def test_pool_takes_any_timestamp_data_and_fee(ledger: Ledger, engine: Engine) -> None:
    strange = make_transaction(
        ALICE, ledger.params, 80, BOB.address, 2**62, 2**62, b"\x00'\"\\%s\xff" * 100, 2**64 - 1
    )
    add_to_pool(ledger.store, pool_row(strange))
    assert ledger.store.load_pool() == [pool_row(strange)]
    with engine.connect() as connection:
        row = connection.execute(select(pool)).one()
    assert row._asdict() == {
        "id": strange.id,
        "sender": ALICE.address,
        "recipient": BOB.address,
        "sequence": 80,
        "amount": 2**62,
        "fee": 2**62,
        "fee_rate": MAX_INTEGER,
        "size_bytes": len(strange.raw),
        "received_at": 5,
        "raw": strange.raw,
    }


def test_pool_takes_the_largest_data_a_network_allows(ledger: Ledger) -> None:
    large = make_transaction(ALICE, ledger.params, 0, BOB.address, 0, 70_000, bytes(65_535))
    add_to_pool(ledger.store, pool_row(large))
    assert ledger.store.load_pool() == [pool_row(large)]


# -- the network ---------------------------------------------------------------------------------


def test_claims_a_database_for_one_network(store: SqlChainStore) -> None:
    store.check_network(b"\x01" * 32)
    store.check_network(b"\x01" * 32)
    with pytest.raises(StorageError, match=f"network {'01' * 32}.*{'02' * 32}.*another database"):
        store.check_network(b"\x02" * 32)
    store.check_network(b"\x01" * 32)
