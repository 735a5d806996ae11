"""What becomes of waiting transactions when the chain moves, time passes or the node restarts."""

from collections.abc import Iterable, Mapping, Sequence

from cairn.chain.pool import Pool, PoolChange, PoolPolicy
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction
from tests.support.chain import NOW, bare_address, bare_transaction, check_pool

SIZE = 152
ALICE, BOB = 1, 2
BALANCE = 1_000_000


def make_pool(
    *waiting: Transaction, max_bytes: int = 10**6, balance: int = BALANCE, now: int = NOW
) -> Pool:
    pool = Pool(PoolPolicy(max_bytes, 0), 10_000)
    for transaction in waiting:
        pool.admit(transaction, Account(balance, 0), now, PoolChange())
    return pool


def states(**senders: tuple[int, int]) -> dict[bytes, Account]:
    """Accounts by the names `alice` and `bob`: balance, next sequence."""
    numbers = {"alice": ALICE, "bob": BOB}
    return {bare_address(numbers[name]): Account(*state) for name, state in senders.items()}


def follow(
    pool: Pool,
    accounts: Mapping[bytes, Account],
    mined: Iterable[Transaction] = (),
    returned: Iterable[Transaction] = (),
    now: int = NOW,
) -> PoolChange:
    return pool.follow(accounts, mined, returned, now)


def run_of(sender: int, sequences: Iterable[int], fee: int = 1_000) -> list[Transaction]:
    return [bare_transaction(sender, sequence, fee) for sequence in sequences]


def ids(transactions: Iterable[Transaction]) -> set[bytes]:
    return {transaction.id for transaction in transactions}


# -- blocks ------------------------------------------------------------------------------------


def test_mined_ones_leave_and_their_followers_stay() -> None:
    chain = run_of(ALICE, range(4))
    pool = make_pool(*chain)
    change = follow(pool, states(alice=(BALANCE, 2)), mined=chain[:2])
    assert change.removed == ids(chain[:2])
    assert pool.select(10**6) == chain[2:]


def test_a_conflicting_spend_in_a_block_takes_the_waiting_ones_place() -> None:
    chain = run_of(ALICE, range(3))
    pool = make_pool(*chain)
    rival = bare_transaction(ALICE, 0, amount=77)
    change = follow(pool, states(alice=(BALANCE, 1)), mined=[rival])
    assert change.removed == {chain[0].id}
    assert pool.select(10**6) == chain[1:]


def test_what_became_too_dear_leaves_with_all_after_it() -> None:
    chain = run_of(ALICE, range(4))
    held = bare_transaction(ALICE, 6, fee=0, amount=1)
    pool = make_pool(*chain, held)
    change = follow(pool, states(alice=(2 * 1_001 + 500, 0)))
    assert change.removed == ids([*chain[2:], held])
    assert pool.select(10**6) == chain[:2]


def test_a_block_that_fills_a_gap_makes_what_was_held_ready() -> None:
    held = run_of(ALICE, [2, 3])
    pool = make_pool(*held)
    assert pool.ready_count() == 0
    follow(pool, states(alice=(BALANCE, 2)), mined=run_of(ALICE, [0, 1]))
    assert pool.select(10**6) == held


def test_accounts_of_others_change_nothing() -> None:
    chain = run_of(ALICE, range(2))
    pool = make_pool(*chain)
    change = follow(pool, states(bob=(0, 9)))
    assert (change.added, change.removed) == ({}, set())


# -- reorganisations ---------------------------------------------------------------------------


def test_returned_ones_wait_again_before_those_that_followed_them() -> None:
    mined, waiting = run_of(ALICE, range(3)), run_of(ALICE, range(3, 5))
    pool = make_pool()
    for transaction in waiting:
        pool.admit(transaction, Account(BALANCE, 3), NOW, PoolChange())
    change = follow(pool, states(alice=(BALANCE, 0)), returned=mined, now=NOW + 50)
    assert set(change.added) == ids(mined)
    assert {row.received_at for row in change.rows()} == {NOW + 50}
    assert pool.select(10**6) == [*mined, *waiting]


def test_a_returned_one_that_was_spent_otherwise_does_not_wait() -> None:
    returned = run_of(ALICE, range(3))
    pool = make_pool()
    rival = bare_transaction(ALICE, 0, amount=5)
    change = follow(pool, states(alice=(BALANCE, 1)), mined=[rival], returned=returned)
    assert set(change.added) == ids(returned[1:])
    assert change.removed == set()
    assert pool.select(10**6) == returned[1:]


def test_returned_ones_without_money_any_more_do_not_wait() -> None:
    returned = run_of(ALICE, range(3))
    waiting = bare_transaction(ALICE, 3)
    pool = make_pool()
    pool.admit(waiting, Account(BALANCE, 3), NOW, PoolChange())
    change = follow(pool, states(alice=(1_001, 0)), returned=returned)
    assert set(change.added) == {returned[0].id}
    assert change.removed == {waiting.id}


def test_more_than_64_of_a_sender_return() -> None:
    returned = run_of(ALICE, range(200), fee=0)
    pool = make_pool()
    follow(pool, states(alice=(BALANCE, 0)), returned=returned)
    assert pool.select(10**6) == returned


def test_returned_ones_keep_within_the_bytes_that_may_wait() -> None:
    waiting = [bare_transaction(sender, 0, fee=500) for sender in (3, 4, 5)]
    pool = make_pool(*waiting, max_bytes=4 * SIZE)
    returned = [*run_of(ALICE, [0], fee=900), *run_of(ALICE, [1, 2], fee=10)]
    change = follow(pool, states(alice=(BALANCE, 0)), returned=returned)
    assert pool.total_bytes == 4 * SIZE
    assert set(change.added) == {returned[0].id}
    assert change.removed == set()  # those evicted had no rows yet


def test_eviction_after_a_return_takes_followers_along() -> None:
    waiting = [bare_transaction(BOB, at, fee) for at, fee in enumerate((300, 10, 40))]
    pool = make_pool(*waiting, max_bytes=3 * SIZE)
    returned = run_of(ALICE, [0], fee=500)
    change = follow(pool, states(alice=(BALANCE, 0)), returned=returned)
    assert change.removed == ids(waiting[1:])
    assert pool.select(10**6) == [*returned, waiting[0]]


# -- time --------------------------------------------------------------------------------------


def test_expires_after_a_day_with_followers() -> None:
    old, young = run_of(ALICE, [0]), run_of(ALICE, [1])
    pool = make_pool(*old, now=NOW)
    pool.admit(young[0], Account(BALANCE, 0), NOW + 3_600, PoolChange())
    other = bare_transaction(BOB, 0)
    pool.admit(other, Account(BALANCE, 0), NOW + 3_600, PoolChange())
    assert pool.expire(NOW + 86_399).removed == set()
    assert pool.expire(NOW + 86_400).removed == ids(old + young)
    assert pool.ids(9) == [other.id]


def test_tells_since_when_the_oldest_of_some_waits() -> None:
    held, ready = bare_transaction(ALICE, 5), bare_transaction(BOB, 0)
    pool = make_pool(held, now=NOW)
    pool.admit(ready, Account(BALANCE, 0), NOW + 60, PoolChange())
    assert pool.oldest_received_at(pool.select(10**6)) == NOW + 60
    assert pool.oldest_received_at([held, ready]) == NOW
    assert pool.oldest_received_at([]) == 0
    assert pool.oldest_received_at([bare_transaction(3, 0)]) == 0


# -- restarts ----------------------------------------------------------------------------------


def restore(
    pool: Pool, rows: Sequence[tuple[Transaction, int]], accounts: Mapping[bytes, Account]
) -> PoolChange:
    return pool.restore(rows, accounts)


def test_restores_what_still_fits_the_accounts() -> None:
    pool = make_pool(bare_transaction(9, 0))
    used, good, dear = bare_transaction(ALICE, 0), bare_transaction(ALICE, 1), run_of(BOB, [0])[0]
    rows = [(used, NOW), (dear, NOW + 1), (good, NOW + 2)]
    change = restore(pool, rows, states(alice=(BALANCE, 1)))
    assert change.removed == {used.id, dear.id}
    assert change.added == {}
    assert pool.ids(9) == [good.id]
    assert pool.total_bytes == SIZE
    assert pool.oldest_received_at([good]) == NOW + 2


def test_restores_within_a_bound_that_was_lowered() -> None:
    pool = make_pool(max_bytes=2 * SIZE)
    stored = run_of(ALICE, [0, 1, 2])
    rows = [(transaction, NOW) for transaction in stored]
    change = restore(pool, rows, states(alice=(BALANCE, 0)))
    assert pool.total_bytes <= 2 * SIZE
    assert change.removed == ids(stored) - set(pool.ids(9))
    check_pool(pool, states(alice=(BALANCE, 0)), PoolPolicy(2 * SIZE, 0))


def test_restores_one_of_two_that_a_damaged_table_has_at_one_sequence() -> None:
    pool = make_pool()
    first, second = bare_transaction(ALICE, 0), bare_transaction(ALICE, 0, amount=2)
    change = restore(pool, [(first, NOW), (second, NOW)], states(alice=(BALANCE, 0)))
    assert change.removed == {second.id}
    change = follow(pool, states(alice=(BALANCE, 1)), mined=[first])
    assert len(pool) == pool.total_bytes == 0


# -- selecting ---------------------------------------------------------------------------------


def test_selects_what_pays_best_and_keeps_each_senders_order() -> None:
    alice = [bare_transaction(ALICE, 0, fee=10), bare_transaction(ALICE, 1, fee=900)]
    bob = [bare_transaction(BOB, 0, fee=500), bare_transaction(BOB, 1, fee=5)]
    pool = make_pool(alice[1], bob[1], alice[0], bob[0])
    assert pool.select(10**6) == [bob[0], alice[0], alice[1], bob[1]]


def test_selects_no_more_bytes_than_there_is_room() -> None:
    small, large = bare_transaction(ALICE, 0, fee=10), bare_transaction(BOB, 0, 900, data=bytes(99))
    follower = bare_transaction(BOB, 1, fee=800)
    pool = make_pool(small, large, follower)
    assert pool.select(SIZE + 99 + 2 * SIZE) == [large, follower, small]
    assert pool.select(SIZE + 99) == [large]
    assert pool.select(SIZE + 98) == [small]  # `follower` cannot come without `large`
    assert pool.select(SIZE - 1) == pool.select(0) == []


def test_tells_the_oldest_ids_first() -> None:
    waiting = [bare_transaction(sender, 0) for sender in range(5)]
    pool = make_pool(*waiting)
    assert pool.ids(3) == [transaction.id for transaction in waiting[:3]]
    assert pool.ids(0) == []
