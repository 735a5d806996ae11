"""Bounds on guessing the operator's token.

A right token has 32 random bytes, which nobody guesses; this keeps the attempts cheap for the
node, and a weak token of one's own from being tried out in a day. Each web worker counts for
itself, in memory: what a node takes in all is this times its workers.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_ADDRESSES = 1_024
"""Counted at a time; who failed longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many failures at once, and one more every so many seconds."""

    burst: int
    seconds_each: float


PER_ADDRESS = Allowance(10, 30.0)
IN_ALL = Allowance(100, 0.6)
"""From everywhere, so that many addresses get no further; and from behind proxies, whose clients
the proxy tells apart."""


class _Bucket:
    """Failures that have not been forgiven yet."""

    __slots__ = ("_allowance", "_at", "_failures")

    def __init__(self, allowance: Allowance, now: float) -> None:
        self._allowance = allowance
        self._failures, self._at = 0.0, now

    def wait_seconds(self, now: float) -> float:
        """Until another attempt is taken; 0: now."""
        forgiven = (now - self._at) / self._allowance.seconds_each
        self._failures, self._at = max(0.0, self._failures - forgiven), now
        over = self._failures - (self._allowance.burst - 1)
        return max(0.0, over * self._allowance.seconds_each)

    def fail(self) -> None:
        self._failures += 1


class Attempts:
    """Failed attempts by address and in all. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = _Bucket(IN_ALL, clock())
        self._by_address: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_seconds(self, address: str) -> int:
        """How long this address (empty: none that is counted) has to wait; 0: it may try."""
        with self._lock:
            now = self._clock()
            waits = [self._all.wait_seconds(now)]
            if (bucket := self._by_address.get(address)) is not None:
                waits.append(bucket.wait_seconds(now))
            return math.ceil(max(waits))

    def failed(self, address: str) -> None:
        """An attempt from this address was wrong."""
        with self._lock:
            now = self._clock()
            self._all.wait_seconds(now)
            self._all.fail()
            if not address:
                return
            bucket = self._by_address.pop(address, None) or _Bucket(PER_ADDRESS, now)
            bucket.wait_seconds(now)
            bucket.fail()
            self._by_address[address] = bucket
            if len(self._by_address) > MAX_ADDRESSES:
                self._by_address.popitem(last=False)
