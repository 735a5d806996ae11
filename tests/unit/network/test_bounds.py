"""Token buckets, remembered digests, and what broken rules cost."""

import pytest

from cairn.consensus.errors import Rule
from cairn.network.budget import MAX_REMEMBERED_PEERS, Budgets, TokenBucket
from cairn.network.relay import RecentlySeen
from cairn.network.scoring import block_points, message_points, transaction_points


def test_bucket_gives_its_capacity_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, capacity=5, now=0)
    assert [bucket.take(1, 0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.wait_seconds(0) == pytest.approx(0.1)
    assert bucket.take(1, 0.1)
    assert not bucket.take(1, 0.1)
    assert [bucket.take(1, 100) for _ in range(6)] == [True] * 5 + [False]


def test_bucket_in_debt_waits_it_off() -> None:
    bucket = TokenBucket(rate=10, capacity=5, now=0)
    bucket.charge(25)
    assert not bucket.take(1, 1.9)
    assert bucket.take(1, 2.1)


def test_budgets_forget_the_longest_unused() -> None:
    budgets = Budgets(1, 1)
    first = budgets.of("first", 0)
    for number in range(MAX_REMEMBERED_PEERS):
        budgets.of(str(number), 0)
    assert budgets.of("first", 0) is not first


def test_bytes_are_new_again_after_a_while() -> None:
    seen = RecentlySeen(seconds=30)
    assert seen.add(b"a", 0)
    assert not seen.add(b"a", 29)
    assert seen.add(b"a", 31)
    seen.forget(b"a")
    assert seen.add(b"a", 31)


def test_remembered_digests_are_bounded() -> None:
    seen = RecentlySeen(seconds=30, limit=3)
    for raw in (b"a", b"b", b"c", b"d"):
        assert seen.add(raw, 0)
    assert seen.add(b"a", 0)
    assert not seen.add(b"d", 0)


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule.value.startswith("pool-")])
def test_pool_policy_costs_nothing(rule: Rule) -> None:
    assert transaction_points(rule) == 0


def test_what_honest_nodes_may_do_costs_nothing() -> None:
    assert transaction_points(Rule.SEQUENCE_MISMATCH) == 0
    assert transaction_points(Rule.BALANCE_INSUFFICIENT) == 0
    assert block_points(Rule.TIMESTAMP_TOO_NEW) == 0
    assert block_points(Rule.PARENT_UNKNOWN) == 0
    assert message_points(Rule.NETWORK_MISMATCH) == 0


def test_faults_cost_by_their_weight() -> None:
    assert block_points(Rule.PROOF_OF_WORK) == 100
    assert block_points(Rule.MERKLE_ROOT_MISMATCH) == 100
    assert transaction_points(Rule.SIGNATURE_INVALID) == 50
    assert message_points(Rule.MESSAGE_MALFORMED) == 20
