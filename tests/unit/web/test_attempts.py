"""Wrong tokens are bounded by address and in all, and forgiven with time."""

from cairn.web.attempts import IN_ALL, MAX_ADDRESSES, PER_ADDRESS, Attempts


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_after_its_burst_and_others_do_not() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(PER_ADDRESS.burst):
        assert attempts.wait_seconds("203.0.113.1") == 0
        attempts.failed("203.0.113.1")
    assert attempts.wait_seconds("203.0.113.1") == PER_ADDRESS.seconds_each
    assert attempts.wait_seconds("203.0.113.2") == 0
    clock.now += PER_ADDRESS.seconds_each
    assert attempts.wait_seconds("203.0.113.1") == 0
    attempts.failed("203.0.113.1")
    assert attempts.wait_seconds("203.0.113.1") == PER_ADDRESS.seconds_each


def test_all_together_wait_whatever_their_addresses() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(IN_ALL.burst):
        assert attempts.wait_seconds(f"198.51.100.{number}") == 0
        attempts.failed(f"198.51.100.{number}")
    assert attempts.wait_seconds("a new one") == 1
    assert attempts.wait_seconds("") == 1
    clock.now += IN_ALL.burst * IN_ALL.seconds_each
    assert attempts.wait_seconds("") == 0


def test_remembers_a_bounded_number_of_addresses() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(PER_ADDRESS.burst):
        attempts.failed("the first")
        clock.now += 0.001 * number
    for number in range(MAX_ADDRESSES):
        clock.now += IN_ALL.seconds_each / 100
        attempts.failed(f"address {number}")
    clock.now += IN_ALL.seconds_each * IN_ALL.burst * MAX_ADDRESSES / 1_000
    assert len(attempts._by_address) == MAX_ADDRESSES
    assert "the first" not in attempts._by_address
