"""Attempts are bounded by client, and forgiven with time."""

from cairn.web.attempts import MAX_CLIENTS, Allowance, Attempts

EACH = Allowance(10, 30.0)
UNTOLD = Allowance(100, 0.6)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def attempts_at(clock: Clock) -> Attempts:
    return Attempts(EACH, UNTOLD, clock)


def test_a_client_waits_after_its_burst_and_others_do_not() -> None:
    clock = Clock()
    attempts = attempts_at(clock)
    for _ in range(EACH.burst):
        assert attempts.wait_seconds("203.0.113.1") == 0
        attempts.count("203.0.113.1")
    assert attempts.wait_seconds("203.0.113.1") == EACH.seconds_each
    assert attempts.wait_seconds("203.0.113.2") == 0
    clock.now += EACH.seconds_each
    assert attempts.wait_seconds("203.0.113.1") == 0
    attempts.count("203.0.113.1")
    assert attempts.wait_seconds("203.0.113.1") == EACH.seconds_each


def test_taking_counts_only_what_is_allowed() -> None:
    clock = Clock()
    attempts = attempts_at(clock)
    assert [attempts.take("203.0.113.1") for _ in range(EACH.burst)] == [0] * EACH.burst
    assert [attempts.take("203.0.113.1") for _ in range(3)] == [EACH.seconds_each] * 3
    clock.now += EACH.seconds_each
    assert attempts.take("203.0.113.1") == 0


def test_a_crowd_keeps_nobody_else_out() -> None:
    attempts = attempts_at(Clock())
    for number in range(UNTOLD.burst):
        for _ in range(EACH.burst):
            attempts.count(f"198.51.100.{number}")
        attempts.count("")
    assert attempts.wait_seconds("a new one") == 0
    assert attempts.wait_seconds("198.51.100.0") == EACH.seconds_each


def test_those_that_cannot_be_told_apart_wait_together() -> None:
    clock = Clock()
    attempts = attempts_at(clock)
    for _ in range(UNTOLD.burst):
        assert attempts.wait_seconds("") == 0
        attempts.count("")
    assert attempts.wait_seconds("") == 1
    clock.now += UNTOLD.seconds_each
    assert attempts.wait_seconds("") == 0


def test_remembers_a_bounded_number_of_clients() -> None:
    attempts = attempts_at(Clock())
    for _ in range(EACH.burst):
        attempts.count("the first")
    for number in range(MAX_CLIENTS):
        attempts.count(f"client {number}")
    assert len(attempts._buckets) == MAX_CLIENTS
    assert attempts.wait_seconds("the first") == 0
