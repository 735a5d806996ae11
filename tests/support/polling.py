"""Waiting for a condition instead of sleeping for it."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.25


class NeverHappened(AssertionError):
    """A condition did not come true in time."""


def wait_until(
    condition: Callable[[], T],
    timeout_seconds: float,
    what: str,
    describe: Callable[[], object] | None = None,
) -> T:
    """What `condition` returns once that is true. Raises NeverHappened after the time.

    `describe` tells at the end how things stood.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            state = f"; it stood so: {describe()}" if describe is not None else ""
            raise NeverHappened(f"not within {timeout_seconds:g} s: {what}{state}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
