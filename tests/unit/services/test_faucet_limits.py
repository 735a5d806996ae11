"""Whom the faucet pays, and when again."""

from cairn.config import FaucetSection
from cairn.services.listener import faucet
from cairn.services.listener.faucet import FaucetLimits


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


def test_an_address_waits_and_another_does_not() -> None:
    clock = Clock()
    limits = FaucetLimits(FaucetSection(seconds_per_address=90), clock)
    assert limits.wait_seconds(address(1)) == 0
    limits.note(address(1))
    clock.now += 0.5
    assert limits.wait_seconds(address(1)) == 90
    assert limits.wait_seconds(address(2)) == 0
    clock.now += 89.5
    assert limits.wait_seconds(address(1)) == 0


def test_all_together_wait_for_the_minute() -> None:
    clock = Clock()
    limits = FaucetLimits(FaucetSection(per_minute=3), clock)
    for number in range(3):
        assert limits.wait_seconds(address(number)) == 0
        limits.note(address(number))
        clock.now += 10
    assert limits.wait_seconds(address(9)) == 30
    clock.now += 30
    assert limits.wait_seconds(address(9)) == 0


def test_forgets_the_oldest_address_first() -> None:
    clock = Clock()
    limits = FaucetLimits(FaucetSection(), clock)
    for number in range(faucet.MAX_ADDRESSES + 1):
        limits.note(address(number))
    clock.now += faucet.MINUTE_SECONDS
    assert limits.wait_seconds(address(0)) == 0
    assert limits.wait_seconds(address(1)) > 0
    assert len(limits._paid_at) == faucet.MAX_ADDRESSES
