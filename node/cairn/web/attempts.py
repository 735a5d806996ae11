"""How often one client may do what is to stay rare.

Each web worker counts for itself, in memory: what a node takes is this times its workers.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_CLIENTS = 1_024
"""Counted at a time; who was counted longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many at once, and one more every so many seconds."""

    burst: int
    seconds_each: float


class _Bucket:
    """Attempts that have not been forgiven yet."""

    __slots__ = ("_allowance", "_at", "_attempts")

    def __init__(self, allowance: Allowance, now: float) -> None:
        self._allowance = allowance
        self._attempts, self._at = 0.0, now

    def wait_seconds(self, now: float) -> float:
        """Until another attempt is taken; 0: now."""
        forgiven = (now - self._at) / self._allowance.seconds_each
        self._attempts, self._at = max(0.0, self._attempts - forgiven), now
        over = self._attempts - (self._allowance.burst - 1)
        return max(0.0, over * self._allowance.seconds_each)

    def count(self) -> None:
        self._attempts += 1


class Attempts:
    """Attempts by client. For any thread.

    A client is what `CountedAddresses.client` makes of an address. All that it does not tell
    apart (on this machine, or behind a proxy that does not say) are one, with more allowed.
    """

    def __init__(
        self,
        each: Allowance,
        untold: Allowance,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each, self._untold = each, untold
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_seconds(self, client: str) -> int:
        """How long this one has to wait; 0: it may try."""
        with self._lock:
            bucket = self._buckets.get(client)
            return math.ceil(bucket.wait_seconds(self._clock())) if bucket else 0

    def count(self, client: str) -> None:
        """This one has tried."""
        with self._lock:
            self._count(client, self._clock())

    def take(self, client: str) -> int:
        """How long this one has to wait; 0: it may try, and that is counted."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.get(client)
            wait = math.ceil(bucket.wait_seconds(now)) if bucket else 0
            if wait == 0:
                self._count(client, now)
            return wait

    def _count(self, client: str, now: float) -> None:
        allowance = self._each if client else self._untold
        bucket = self._buckets.pop(client, None) or _Bucket(allowance, now)
        bucket.wait_seconds(now)
        bucket.count()
        self._buckets[client] = bucket
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
