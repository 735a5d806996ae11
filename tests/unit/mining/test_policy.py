"""When a miner mines."""

import pytest

from cairn.cli.genesis_file import DEFAULT_HASH_RATE, GenesisChoices, write_genesis
from cairn.consensus.block import Header
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import genesis_context, next_bits
from cairn.mining.policy import (
    ChainView,
    MiningPolicy,
    default_heartbeat_seconds,
    spread_seconds,
)
from tests.support.builders import make_params

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


@pytest.mark.parametrize(("interval", "heartbeat"), [(600, 300), (60, 30), (3, 1), (1, 1)])
def test_unless_said_otherwise_a_heartbeat_takes_half_an_interval(
    interval: int, heartbeat: int
) -> None:
    params = make_params(target_interval_seconds=interval, initial_target=0x1F00FFFF)
    assert default_heartbeat_seconds(params) == heartbeat


def test_development_networks_rest_for_long() -> None:
    assert default_heartbeat_seconds(make_params()) == 600


def bits_after(days: int, heartbeat_seconds: int) -> tuple[NetworkParams, int]:
    """Of a network made with the defaults, on which nothing but heartbeats is mined."""
    rate = DEFAULT_HASH_RATE
    choices = GenesisChoices(name="n", prefix="n", symbol="N", time=0)
    _, params = write_genesis(choices)
    time = 0.0
    parent = genesis_context(params)
    while time < days * 86_400:
        bits = next_bits(parent, params)
        time += heartbeat_seconds + spread_seconds(60) / 2 + work_of(bits) / rate
        header = Header(parent.height + 1, parent.hash, bytes(32), int(time), bits, 0)
        parent = parent.extended_by(header, bytes(32))
    return params, bits


def test_an_idle_network_keeps_its_difficulty() -> None:
    params, bits = bits_after(30, 30)
    assert work_of(bits) > 0.4 * work_of(params.initial_target)


def test_heartbeats_as_slow_as_the_schedule_would_make_blocks_ever_easier() -> None:
    params, bits = bits_after(30, 60)
    assert bits == params.target_limit


def test_always_is_always_due_and_off_never() -> None:
    assert MiningPolicy("always", 10, 30, 600).due_at(view(), NOW) == NOW
    assert MiningPolicy("off", 1, 0, 1).due_at(view(99, 0, 10**6), NOW) is None


def test_first_arrival_in_an_empty_pool_starts_the_wait() -> None:
    arrived = view().with_pool(1, NOW)
    assert AUTO.due_at(arrived, NOW) == NOW + 30
    later = arrived.with_pool(2, NOW + 20)
    assert AUTO.due_at(later, NOW + 20) == NOW + 30


def test_a_view_misses_what_the_pool_has_and_it_has_not() -> None:
    assert view().misses(1)
    assert not view().misses(0)
    assert not view(waiting=1).misses(2)


@pytest.mark.parametrize(("interval", "seconds"), [(1, 1.0), (8, 2.0), (600, 5.0)])
def test_spread_follows_the_target_interval_within_bounds(interval: int, seconds: float) -> None:
    assert spread_seconds(interval) == seconds
