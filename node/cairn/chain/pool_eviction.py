"""Which waiting transactions leave first when the pool is too full.

What leaves is always the end of one sender's run, so nobody's follower is left without its
forerunner. Of all such ends the one that pays least per byte *as a whole* goes first: a cheap
transaction stays for the sake of what follows it, and a dear one does not shield cheap ones
by being the last. Those held for a gap go before all that could be mined.
"""

import heapq
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from cairn.chain.pool_entry import PoolEntry, fee_rate
from cairn.chain.pool_sender import Sender

_SPARE_OFFERS = 1_000


@dataclass(frozen=True, slots=True)
class Package:
    """The end of a sender's run, to leave together."""

    is_ready: bool
    """Whether it could be mined; otherwise all of it is held for a gap."""
    rate: int
    """What it pays per byte as a whole, as `fee_rate` counts."""
    entries: tuple[PoolEntry, ...]
    """Last first, never empty."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.entries)


def cheapest_end(sender: Sender, below: int | None = None) -> Package | None:
    """The end of the run under sequence `below` that pays least per byte; None when it is empty.

    Of equally cheap ends the shortest.
    """
    taken: list[PoolEntry] = []
    fees = size = count = 0
    least: int | None = None
    for entry in sender.tail(below):
        taken.append(entry)
        fees += entry.transaction.fee
        size += entry.size
        rate = fee_rate(fees, size)
        if least is None or rate < least:
            least, count = rate, len(taken)
    if least is None:
        return None
    is_ready = taken[0].transaction.sequence < sender.first_gap
    return Package(is_ready, least, tuple(taken[:count]))


class EvictionOrder:
    """Packages of all senders, the first to leave first.

    Reckons lazily: while there is room nothing is compared, and afterwards only the senders
    that changed are looked at again.
    """

    def __init__(self, senders: Mapping[bytes, Sender]) -> None:
        self._senders = senders
        self._changed: set[bytes] = set()
        self._current: dict[bytes, int] = {}
        """The offer of each sender that still holds, by its number."""
        self._offers: list[tuple[bool, int, int, bytes]] = []
        """A heap of readiness, rate, number and sender; with offers that hold no longer."""
        self._number = 0

    def note(self, address: bytes) -> None:
        """The entries of this sender, or its account, changed."""
        self._changed.add(address)
        if len(self._changed) > 2 * len(self._senders) + _SPARE_OFFERS:
            for gone in self._changed - self._senders.keys():
                self._changed.discard(gone)
                self._current.pop(gone, None)

    def clear(self) -> None:
        """Forgets everything."""
        self._changed.clear()
        self._current.clear()
        self._offers.clear()

    def packages(self) -> Generator[Package, None, None]:
        """What would leave, in order, each as if those before it had left. Changes nothing;
        close it before any sender changes."""
        self._reckon()
        taken = []
        further: list[tuple[bool, int, bytes, Package]] = []
        try:
            while self._offers or further:
                if self._offers and (not further or self._offers[0][:2] <= further[0][:2]):
                    offer = heapq.heappop(self._offers)
                    address = offer[3]
                    if self._current.get(address) != offer[2]:
                        continue
                    taken.append(offer)
                    package = cheapest_end(self._senders[address])
                else:
                    *_, address, package = heapq.heappop(further)
                if package is None:
                    continue
                yield package
                first = package.entries[-1].transaction.sequence
                rest = cheapest_end(self._senders[address], first)
                if rest is not None:
                    heapq.heappush(further, (rest.is_ready, rest.rate, address, rest))
        finally:
            for offer in taken:
                heapq.heappush(self._offers, offer)

    def _reckon(self) -> None:
        if len(self._offers) + len(self._changed) > 2 * len(self._senders) + _SPARE_OFFERS:
            self._offers = [each for each in self._offers if self._current.get(each[3]) == each[2]]
            heapq.heapify(self._offers)
        for address in self._changed:
            self._current.pop(address, None)
            sender = self._senders.get(address)
            package = cheapest_end(sender) if sender is not None else None
            if package is not None:
                self._number += 1
                self._current[address] = self._number
                offer = (package.is_ready, package.rate, self._number, address)
                heapq.heappush(self._offers, offer)
        self._changed.clear()
