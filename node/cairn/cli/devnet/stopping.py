"""SIGTERM, Ctrl-C and a closed terminal as something the main thread can wait for."""

import os
import select
import signal
import time
from types import FrameType

SAME_SECONDS = 1.0
"""Signals this close together are one request, sent on by more than one (a shell, a group)."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignal:
    """Made in the main thread; from then on a stop signal interrupts nothing, it is noted."""

    def __init__(self) -> None:
        self.count = 0
        """How often it was asked for: a second time means haste."""
        self._latest = 0.0
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def wait(self, seconds: float) -> bool:
        """Whether a stop was asked for, now or within the time."""
        if not self.count:
            select.select([self._reader], [], [], max(0.0, seconds))
        return self.count > 0

    def close(self) -> None:
        """Gives the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.count and now - self._latest < SAME_SECONDS:
            return
        self._latest = now
        self.count += 1
        if self.count == 1:
            os.write(self._writer, b"x")
