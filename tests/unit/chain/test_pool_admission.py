"""What the pool takes and refuses, each rule from both sides of its boundary."""

from cairn.chain.pool import Pool, PoolChange, PoolPolicy
from cairn.consensus.errors import Rule
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction
from tests.support.chain import NOW, bare_transaction
from tests.support.refusals import refused

RICH = Account(10**12, 0)
SIZE = 152
"""Bytes of a transaction without data."""


def make_pool(max_bytes: int = 10**6, min_fee_per_byte: int = 0, max_block: int = 10_000) -> Pool:
    return Pool(PoolPolicy(max_bytes, min_fee_per_byte), max_block)


def admit(pool: Pool, *transactions: Transaction, account: Account = RICH) -> PoolChange:
    change = PoolChange()
    for transaction in transactions:
        pool.check_form(transaction, NOW)
        pool.admit(transaction, account, NOW, change)
    return change


def ids(*transactions: Transaction) -> list[bytes]:
    return [transaction.id for transaction in transactions]


# -- form --------------------------------------------------------------------------------------


def test_takes_a_transaction_and_reports_its_row() -> None:
    pool, transaction = make_pool(), bare_transaction(1, 0)
    change = admit(pool, transaction)
    assert transaction.id in pool
    assert pool.get(transaction.id) is transaction
    assert pool.total_bytes == SIZE
    (row,) = change.rows()
    assert (row.id, row.raw, row.received_at) == (transaction.id, transaction.raw, NOW)
    assert change.removed == set()


def test_refuses_what_waits_already() -> None:
    pool, transaction = make_pool(), bare_transaction(1, 0)
    admit(pool, transaction)
    with refused(Rule.POOL_DUPLICATE):
        pool.check_form(transaction, NOW)
    with refused(Rule.POOL_DUPLICATE):
        pool.admit(transaction, RICH, NOW, PoolChange())


def test_refuses_what_fits_in_no_block() -> None:
    overhead = 96 + 29 + 64 + 4
    pool = make_pool(max_block=1_000)
    largest = bare_transaction(1, 0, data=bytes(1_000 - overhead - SIZE))
    pool.check_form(largest, NOW)
    larger = bare_transaction(1, 0, data=bytes(1_000 - overhead - SIZE + 1))
    with refused(Rule.POOL_TRANSACTION_TOO_LARGE, length=1_001 - overhead, limit=1_000 - overhead):
        pool.check_form(larger, NOW)


def test_takes_timestamps_from_a_day_ago_to_ten_minutes_ahead() -> None:
    pool = make_pool()
    for timestamp in (NOW - 86_400, NOW + 600):
        pool.check_form(bare_transaction(1, 0, timestamp=timestamp), NOW)
    for timestamp in (0, NOW - 86_401, NOW + 601, 2**64 - 1):
        with refused(Rule.POOL_TIMESTAMP, timestamp=timestamp, now=NOW):
            pool.check_form(bare_transaction(1, 0, timestamp=timestamp), NOW)


def test_asks_the_least_fee_per_byte() -> None:
    pool = make_pool(min_fee_per_byte=3)
    pool.check_form(bare_transaction(1, 0, fee=3 * SIZE), NOW)
    with refused(Rule.POOL_FEE_TOO_LOW, fee=3 * SIZE - 1, minimum=3 * SIZE):
        pool.check_form(bare_transaction(1, 0, fee=3 * SIZE - 1), NOW)


# -- money and sequences -----------------------------------------------------------------------


def test_refuses_a_sequence_that_was_used() -> None:
    pool = make_pool()
    with refused(Rule.SEQUENCE_MISMATCH, sequence=4, expected=5):
        admit(pool, bare_transaction(1, 4), account=Account(10**9, 5))
    admit(pool, bare_transaction(1, 5), account=Account(10**9, 5))


def test_counts_all_that_a_sender_has_waiting_against_its_balance() -> None:
    pool, account = make_pool(), Account(3_000, 0)
    admit(pool, bare_transaction(1, 0, fee=500, amount=500), account=account)
    admit(pool, bare_transaction(1, 2, fee=500, amount=500), account=account)  # held: counts too
    with refused(Rule.BALANCE_INSUFFICIENT, amount=501, fee=500, waiting=2_000, balance=3_000):
        admit(pool, bare_transaction(1, 1, fee=500, amount=501), account=account)
    admit(pool, bare_transaction(1, 1, fee=500, amount=500), account=account)


def test_refuses_a_stranger_without_balance() -> None:
    with refused(Rule.BALANCE_INSUFFICIENT, balance=0):
        admit(make_pool(), bare_transaction(1, 0), account=Account(0, 0))


def test_refuses_amounts_beyond_every_balance() -> None:
    pool = make_pool()
    huge = bare_transaction(1, 0, fee=2**64 - 1, amount=2**64 - 1)
    with refused(Rule.BALANCE_INSUFFICIENT):
        admit(pool, huge, account=Account(2**63 - 1, 0))
    assert len(pool) == 0


def test_lets_64_of_a_sender_wait() -> None:
    pool = make_pool()
    admit(pool, *(bare_transaction(1, sequence) for sequence in range(64)))
    with refused(Rule.POOL_SENDER_FULL, waiting=64, limit=64):
        admit(pool, bare_transaction(1, 64))
    with refused(Rule.POOL_SENDER_FULL):  # nor behind the gap that this leaves
        admit(pool, bare_transaction(1, 65))
    admit(pool, bare_transaction(2, 0))
    assert pool.ready_count() == len(pool) == 65


def test_holds_16_of_a_sender_for_a_gap() -> None:
    pool = make_pool()
    admit(pool, *(bare_transaction(1, sequence) for sequence in range(1, 17)))
    assert pool.ready_count() == 0
    assert pool.select(10**6) == []
    with refused(Rule.POOL_GAP_TOO_WIDE, sequence=17, expected=0, held=16):
        admit(pool, bare_transaction(1, 17))


def test_holds_nothing_80_or_more_ahead() -> None:
    pool = make_pool()
    account = Account(10**9, 7)
    admit(pool, bare_transaction(1, 7 + 79), account=account)
    with refused(Rule.POOL_GAP_TOO_WIDE, sequence=87, expected=7, limit=86):
        admit(pool, bare_transaction(1, 7 + 80), account=account)
    with refused(Rule.POOL_GAP_TOO_WIDE):
        admit(pool, bare_transaction(1, 2**64 - 1), account=account)


def test_a_filled_gap_makes_what_was_held_ready() -> None:
    pool = make_pool()
    late = [bare_transaction(1, sequence) for sequence in range(63)]
    held = [bare_transaction(1, sequence) for sequence in range(64, 80)]
    admit(pool, *late, *held)
    assert pool.ready_count() == 63
    missing = bare_transaction(1, 63)
    admit(pool, missing)
    assert pool.ready_count() == len(pool) == 80  # the most one sender ever has
    assert [each.sequence for each in pool.select(10**6)] == list(range(80))
    with refused(Rule.POOL_GAP_TOO_WIDE, sequence=80, expected=0, limit=79):
        admit(pool, bare_transaction(1, 80))


# -- replacing ---------------------------------------------------------------------------------


def test_replaces_at_ten_percent_more_fee() -> None:
    pool = make_pool()
    first, follower = bare_transaction(1, 0, fee=1_000), bare_transaction(1, 1)
    admit(pool, first, follower)
    with refused(Rule.POOL_REPLACEMENT_FEE_TOO_LOW, fee=1_099, replaced_fee=1_000):
        admit(pool, bare_transaction(1, 0, fee=1_099, amount=2))
    better = bare_transaction(1, 0, fee=1_100, amount=2)
    change = admit(pool, better)
    assert change.removed == {first.id}
    assert list(change.added) == [better.id]
    assert pool.select(10**6) == [better, follower]


def test_rounds_the_ten_percent_up() -> None:
    pool = make_pool()
    admit(pool, bare_transaction(1, 0, fee=1_001))
    with refused(Rule.POOL_REPLACEMENT_FEE_TOO_LOW):
        admit(pool, bare_transaction(1, 0, fee=1_101, amount=2))  # 1,101.1 are asked
    admit(pool, bare_transaction(1, 0, fee=1_102, amount=2))


def test_an_equal_fee_never_replaces_even_at_zero() -> None:
    pool = make_pool()
    admit(pool, bare_transaction(1, 0, fee=0))
    with refused(Rule.POOL_REPLACEMENT_FEE_TOO_LOW, fee=0, replaced_fee=0):
        admit(pool, bare_transaction(1, 0, fee=0, amount=2))
    admit(pool, bare_transaction(1, 0, fee=1, amount=2))


def test_a_replacement_must_be_affordable_beside_the_rest() -> None:
    pool, account = make_pool(), Account(5_000, 0)
    first = bare_transaction(1, 0, fee=1_000, amount=1_000)
    admit(pool, first, bare_transaction(1, 1, fee=1_000, amount=1_000), account=account)
    with refused(Rule.BALANCE_INSUFFICIENT, waiting=2_000, balance=5_000):
        admit(pool, bare_transaction(1, 0, fee=2_000, amount=1_001), account=account)
    assert first.id in pool
    admit(pool, bare_transaction(1, 0, fee=2_000, amount=1_000), account=account)


def test_a_full_sender_may_still_replace() -> None:
    pool = make_pool()
    admit(pool, *(bare_transaction(1, sequence) for sequence in range(64)))
    admit(pool, bare_transaction(1, 63, fee=1_100))
    assert len(pool) == 64


# -- a full pool -------------------------------------------------------------------------------


def test_evicts_the_lowest_fee_rate_when_full() -> None:
    pool = make_pool(max_bytes=3 * SIZE)
    cheap, middle, dear = (bare_transaction(sender, 0, fee=sender * 100) for sender in (1, 2, 3))
    admit(pool, dear, cheap, middle)
    newcomer = bare_transaction(4, 0, fee=150)
    change = admit(pool, newcomer)
    assert change.removed == {cheap.id}
    assert set(pool.ids(10)) == set(ids(middle, dear, newcomer))
    assert pool.total_bytes == 3 * SIZE


def test_is_full_for_what_pays_no_more_than_the_cheapest() -> None:
    pool = make_pool(max_bytes=2 * SIZE)
    admit(pool, bare_transaction(1, 0, fee=100), bare_transaction(2, 0, fee=100))
    for amount in range(1, 30):  # the same rate with ids on either side of those that wait
        with refused(Rule.POOL_FULL, bytes=2 * SIZE, limit=2 * SIZE):
            admit(pool, bare_transaction(3, 0, fee=100, amount=amount))
    admit(pool, bare_transaction(3, 0, fee=101))


def test_judges_fee_per_byte_not_fee() -> None:
    pool = make_pool(max_bytes=2 * SIZE)
    admit(pool, bare_transaction(1, 0, fee=100), bare_transaction(2, 0, fee=100))
    with refused(Rule.POOL_FULL):
        admit(pool, bare_transaction(3, 0, fee=190, data=bytes(SIZE)))


def test_a_run_leaves_from_its_end_by_what_the_end_pays_as_a_whole() -> None:
    pool = make_pool(max_bytes=4 * SIZE)
    chain = [bare_transaction(1, sequence, fee) for sequence, fee in enumerate((900, 10, 900))]
    admit(pool, *chain, bare_transaction(2, 0, fee=500))
    with refused(Rule.POOL_FULL):  # the cheap one stays for the sake of what follows it
        admit(pool, bare_transaction(3, 0, fee=455))
    change = admit(pool, bare_transaction(3, 0, fee=456))
    assert change.removed == {chain[1].id, chain[2].id}
    assert chain[0].id in pool


def test_a_dear_last_one_does_not_shield_those_before_it() -> None:
    pool = make_pool(max_bytes=8 * SIZE)
    chain = [bare_transaction(1, sequence, fee=10) for sequence in range(7)]
    last = bare_transaction(1, 7, fee=100)
    admit(pool, *chain, last)
    change = admit(pool, bare_transaction(2, 0, fee=22))
    assert change.removed == {each.id for each in (*chain, last)}


# -- held for gaps -----------------------------------------------------------------------------


def test_what_is_held_for_gaps_has_a_twentieth_of_the_pool() -> None:
    pool = make_pool(max_bytes=80 * SIZE)
    held = [bare_transaction(sender, 1, fee=1_000 + sender) for sender in range(1, 5)]
    admit(pool, *held)
    assert pool.held_bytes == 4 * SIZE
    with refused(Rule.POOL_FULL):
        admit(pool, bare_transaction(5, 1, fee=1_001))
    assert admit(pool, bare_transaction(5, 1, fee=1_002)).removed == {held[0].id}
    assert pool.held_bytes == 4 * SIZE
    admit(pool, bare_transaction(5, 0, fee=0), bare_transaction(6, 0, fee=0))
    assert pool.held_bytes == 3 * SIZE


def test_what_is_held_leaves_before_what_could_be_mined_whatever_it_pays() -> None:
    pool = make_pool(max_bytes=40 * SIZE)
    held = [bare_transaction(sender, 1, fee=10**6) for sender in (1, 2)]
    admit(pool, *held, *(bare_transaction(sender, 0, fee=10) for sender in range(3, 41)))
    with refused(Rule.POOL_FULL):  # nor does one that could not be mined push out what could
        admit(pool, bare_transaction(1, 2, fee=10**6))
    admit(pool, bare_transaction(41, 0, fee=1), bare_transaction(42, 0, fee=1))
    assert pool.held_bytes == 0
    assert pool.ready_count() == len(pool) == 40
    with refused(Rule.POOL_FULL):
        admit(pool, bare_transaction(43, 1, fee=10**6))


def test_a_gap_that_opens_behind_many_leaves_only_their_share() -> None:
    pool = make_pool(max_bytes=100 * SIZE)
    run = [bare_transaction(1, sequence) for sequence in range(60)]
    admit(pool, *run, account=Account(10**9, 0))
    change = pool.follow({run[0].sender: Account(10**9, 0)}, [run[0]], (), NOW)
    assert pool.held_bytes == 5 * SIZE
    assert change.removed == {run[0].id, *(each.id for each in run[6:])}


def test_a_newcomer_never_pushes_out_its_own_forerunner() -> None:
    pool = make_pool(max_bytes=3 * SIZE)
    admit(pool, bare_transaction(1, 0, fee=10), bare_transaction(2, 0, fee=500))
    admit(pool, bare_transaction(1, 1, fee=500))
    with refused(Rule.POOL_FULL):
        admit(pool, bare_transaction(1, 2, fee=900))
    assert len(pool) == 3


def test_a_newcomer_may_push_out_its_own_followers() -> None:
    pool = make_pool(max_bytes=3 * SIZE)
    first, follower = bare_transaction(1, 0, fee=10), bare_transaction(1, 1, fee=10)
    admit(pool, first, follower, bare_transaction(2, 0, fee=500))
    change = admit(pool, bare_transaction(1, 0, fee=200, data=bytes(SIZE)))
    assert change.removed == {first.id, follower.id}


def test_a_large_newcomer_needs_every_victim_to_pay_less() -> None:
    pool = make_pool(max_bytes=3 * SIZE)
    waiting = [bare_transaction(sender, 0, fee=fee) for sender, fee in ((1, 10), (2, 20), (3, 90))]
    admit(pool, *waiting)
    large = bare_transaction(4, 0, fee=170, data=bytes(2 * SIZE))  # pays 57 on each 152 bytes
    with refused(Rule.POOL_FULL):
        admit(pool, large)
    assert set(pool.ids(10)) == set(ids(*waiting))
    fitting = bare_transaction(4, 0, fee=170, data=bytes(SIZE))  # pays 85
    change = admit(pool, fitting)
    assert change.removed == {waiting[0].id, waiting[1].id}


def test_a_larger_replacement_makes_room_of_others_not_of_what_it_replaces() -> None:
    pool = make_pool(max_bytes=3 * SIZE)
    cheapest = bare_transaction(1, 0, fee=10)
    follower = bare_transaction(1, 1, fee=900)
    other = bare_transaction(2, 0, fee=20)
    admit(pool, cheapest, follower, other)
    change = admit(pool, bare_transaction(1, 0, fee=500, data=bytes(SIZE)))
    assert change.removed == {cheapest.id, other.id}
    assert follower.id in pool
    assert pool.total_bytes == 3 * SIZE


def test_a_replacement_of_the_same_size_needs_no_room() -> None:
    pool = make_pool(max_bytes=2 * SIZE)
    admit(pool, bare_transaction(1, 0, fee=10), bare_transaction(2, 0, fee=5))
    change = admit(pool, bare_transaction(1, 0, fee=11, amount=2))
    assert len(change.removed) == 1
    assert len(pool) == 2


def test_remembers_what_is_cheapest_after_a_refusal() -> None:
    pool = make_pool(max_bytes=2 * SIZE)
    cheap = bare_transaction(1, 0, fee=10)
    admit(pool, cheap, bare_transaction(2, 0, fee=20))
    for _ in range(3):
        with refused(Rule.POOL_FULL):
            admit(pool, bare_transaction(3, 0, fee=5))
    assert admit(pool, bare_transaction(3, 0, fee=15)).removed == {cheap.id}


def test_remembers_nothing_of_those_that_left() -> None:
    pool = make_pool(max_bytes=SIZE)
    for sender in range(3_000):
        admit(pool, bare_transaction(sender, 0, fee=sender))
        if sender % 2:
            gone = {bare_transaction(sender, 0).sender: Account(10**9, 1)}
            pool.follow(gone, (), (), NOW)
    order = pool._order  # a leak shows nowhere else
    assert len(pool) == 0
    assert len(order._offers) + len(order._changed) + len(order._current) <= 3_100


# -- changes -----------------------------------------------------------------------------------


def test_what_came_and_went_in_one_change_is_in_neither() -> None:
    pool = make_pool(max_bytes=SIZE)
    first, second = bare_transaction(1, 0, fee=10), bare_transaction(2, 0, fee=20)
    change = admit(pool, first, second)
    assert list(change.added) == [second.id]
    assert change.removed == set()


def test_what_went_came_again_and_went_leaves_no_row() -> None:
    """A follower evicted with its forerunner, offered again and then replaced, all at once."""
    pool = make_pool(max_bytes=2 * SIZE)
    forerunner, follower = bare_transaction(1, 0, fee=10), bare_transaction(1, 1, fee=500)
    stored = set(admit(pool, forerunner, follower).added)
    dear, successor = bare_transaction(2, 0, fee=300), bare_transaction(1, 0, fee=900)
    better = bare_transaction(1, 1, fee=550)
    change = admit(pool, dear, successor, follower, better)
    rows = (stored - change.removed) | change.added.keys()
    assert rows == set(pool.ids(9)) == set(ids(successor, better))
