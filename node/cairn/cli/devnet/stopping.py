"""SIGTERM, Ctrl-C and a closed terminal as something the main thread can wait for."""

import os
import select
import signal
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignal:
    """Made in the main thread; from then on a stop signal interrupts nothing, it is noted."""

    def __init__(self) -> None:
        self.count = 0
        """How many came: a second one means haste."""
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
        self.count += 1
        if self.count == 1:
            os.write(self._writer, b"x")
