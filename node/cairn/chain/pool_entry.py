"""What waits in the pool: one transaction, what the operator allows, and what changed."""

from dataclasses import dataclass, field

from cairn.chain.store import PoolRow
from cairn.consensus.transaction import Transaction


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """The operator's numbers."""

    max_bytes: int = 64 * 1024 * 1024
    min_fee_per_byte: int = 1
    expiry_seconds: int = 86_400


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A waiting transaction and when it arrived (seconds since the epoch)."""

    transaction: Transaction
    received_at: int

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.transaction.raw)

    @property
    def rate(self) -> tuple[int, bytes]:
        """Orders by fee per byte (in 2^-20 units, rounded down), ties by id."""
        return fee_rate(self.transaction.fee, self.size), self.transaction.id

    def row(self) -> PoolRow:
        """As stored."""
        return PoolRow(self.transaction.id, self.transaction.raw, self.received_at)


@dataclass(slots=True)
class PoolChange:
    """What came and went. An entry that came and went again is in neither; one that went and
    came again is in both, so what is stored is right when removals come first."""

    added: dict[bytes, PoolEntry] = field(default_factory=dict)
    removed: set[bytes] = field(default_factory=set)

    def rows(self) -> list[PoolRow]:
        """The added entries as stored."""
        return [entry.row() for entry in self.added.values()]


FEE_RATE_BITS = 20
"""Binary places of a fee rate."""


def fee_rate(fee: int, size_bytes: int) -> int:
    """How the pool orders: base units per byte times 2^20, rounded down, at most 2^63-1."""
    return min((fee << FEE_RATE_BITS) // size_bytes, 2**63 - 1)
