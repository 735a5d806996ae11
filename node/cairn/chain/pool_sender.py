"""One account's waiting transactions: which can be mined in turn, which are held for a gap."""

from collections.abc import Iterator
from itertools import islice

from cairn.chain.pool_entry import PoolEntry
from cairn.consensus.ledger import Account


class Sender:
    """Entries by sequence, over the account's confirmed state. Its sums are always current."""

    __slots__ = ("account", "cost", "entries", "held_bytes", "ready")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.entries: dict[int, PoolEntry] = {}
        self.ready = 0
        """How many stand without a gap before them."""
        self.held_bytes = 0
        """Of all others."""
        self.cost = 0
        """Amounts and fees of all."""

    @property
    def first_gap(self) -> int:
        """The sequence that is missing next."""
        return self.account.next_sequence + self.ready

    @property
    def held(self) -> int:
        """How many wait behind a gap."""
        return len(self.entries) - self.ready

    def ready_entries(self) -> Iterator[PoolEntry]:
        """Those without a gap before them, in order."""
        first = self.account.next_sequence
        return (self.entries[sequence] for sequence in range(first, first + self.ready))

    def put(self, entry: PoolEntry) -> None:
        """Adds an entry at a free sequence."""
        self.entries[entry.transaction.sequence] = entry
        self.cost += entry.transaction.cost
        self.held_bytes += entry.size
        while (following := self.entries.get(self.first_gap)) is not None:
            self.ready += 1
            self.held_bytes -= following.size

    def take(self, sequence: int) -> PoolEntry:
        """Removes and returns the entry at `sequence`."""
        entry = self.entries.pop(sequence)
        self.cost -= entry.transaction.cost
        if self.account.next_sequence <= sequence < self.first_gap:
            for later in range(sequence + 1, self.first_gap):
                self.held_bytes += self.entries[later].size
            self.ready = sequence - self.account.next_sequence
        else:
            self.held_bytes -= entry.size
        return entry

    def follow(self, account: Account) -> None:
        """Takes over the account's new confirmed state."""
        self.account = account
        self.ready = 0
        while self.first_gap in self.entries:
            self.ready += 1
        ready_bytes = sum(entry.size for entry in self.ready_entries())
        self.held_bytes = sum(entry.size for entry in self.entries.values()) - ready_bytes

    def from_sequence(self, sequence: int) -> list[PoolEntry]:
        """The entries at `sequence` and after."""
        return [entry for at, entry in self.entries.items() if at >= sequence]

    def tail(self, below: int | None) -> Iterator[PoolEntry]:
        """Entries with a sequence under `below` (None: all), the last first; while any of these
        is held, the held ones alone."""
        sequences = sorted(at for at in self.entries if below is None or at < below)
        held = sum(1 for at in sequences if at >= self.first_gap)
        return (self.entries[at] for at in islice(reversed(sequences), held or None))
