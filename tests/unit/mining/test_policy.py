"""When a miner mines."""

import pytest

from cairn.mining.policy import ChainView, MiningPolicy, spread_seconds

NOW = 1_700_000_000.0
AUTO = MiningPolicy("auto", min_transactions=10, max_wait_seconds=30, heartbeat_seconds=600)


def view(waiting: int = 0, oldest: float = 0.0, tip_age: int = 0) -> ChainView:
    return ChainView(waiting, oldest, int(NOW) - tip_age)


def test_auto_mines_at_once_when_enough_wait() -> None:
    assert AUTO.due_at(view(10, NOW), NOW) == NOW
    due_at = AUTO.due_at(view(9, NOW), NOW)
    assert due_at is not None
    assert due_at > NOW


def test_auto_mines_when_the_oldest_waited_long_enough() -> None:
    assert AUTO.due_at(view(1, NOW - 29), NOW) == NOW + 1
    assert AUTO.due_at(view(1, NOW - 30), NOW) == NOW


def test_auto_mines_a_heartbeat_on_an_old_tip() -> None:
    assert AUTO.due_at(view(tip_age=599), NOW) == NOW + 1
    assert AUTO.due_at(view(tip_age=600), NOW) == NOW


def test_auto_without_heartbeat_never_mines_an_empty_pool() -> None:
    policy = MiningPolicy("auto", 10, 30, 0)
    assert policy.due_at(view(tip_age=10**8), NOW) is None


def test_always_is_always_due_and_off_never() -> None:
    assert MiningPolicy("always", 10, 30, 600).due_at(view(), NOW) == NOW
    assert MiningPolicy("off", 1, 0, 1).due_at(view(99, 0, 10**6), NOW) is None


def test_first_arrival_in_an_empty_pool_starts_the_wait() -> None:
    arrived = view().with_pool(1, NOW)
    assert AUTO.due_at(arrived, NOW) == NOW + 30
    later = arrived.with_pool(2, NOW + 20)
    assert AUTO.due_at(later, NOW + 20) == NOW + 30


@pytest.mark.parametrize(("interval", "seconds"), [(1, 1.0), (8, 2.0), (600, 5.0)])
def test_spread_follows_the_target_interval_within_bounds(interval: int, seconds: float) -> None:
    assert spread_seconds(interval) == seconds
