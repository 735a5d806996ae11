"""What an audit found: counted whole, listed up to a bound."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_LISTED = 20
"""Findings of one kind that are listed; the rest are counted."""


class Kind(StrEnum):
    """What can differ between the stored blocks and the stored state. Codes are stable."""

    NETWORK = "network"
    """The database belongs to another network than the configuration."""
    BLOCK_BYTES = "block-bytes"
    """A block's bytes are damaged or missing: they do not hash to the block's name."""
    BLOCK_COLUMN = "block-column"
    """A column does not say what the block's bytes say."""
    BLOCK_RULE = "block-rule"
    """A block in the active chain breaks a rule."""
    BLOCK_STATUS = "block-status"
    BLOCK_UNREACHABLE = "block-unreachable"
    """A block cannot be replayed because one below it is damaged or missing."""
    CHAIN_TIP = "chain-tip"
    """The active chain is not the one of most work."""
    INDEX_MISSING = "index-missing"
    INDEX_EXTRA = "index-extra"
    INDEX_DIFFERENT = "index-different"
    ACCOUNT_MISSING = "account-missing"
    ACCOUNT_EXTRA = "account-extra"
    ACCOUNT_DIFFERENT = "account-different"
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `where` names the row; `stored` and `expected` are for people."""

    kind: Kind
    where: str
    stored: str
    expected: str


@dataclass(slots=True)
class Findings:
    """All differences, counted by kind, and the first of each kind."""

    listed_per_kind: int = DEFAULT_LISTED
    counts: Counter[Kind] = field(default_factory=Counter)
    listed: list[Finding] = field(default_factory=list)

    def add(self, kind: Kind, where: str, stored: object, expected: object) -> None:
        """Notes one difference."""
        self.counts[kind] += 1
        if self.counts[kind] <= self.listed_per_kind:
            self.listed.append(Finding(kind, where, str(stored), str(expected)))

    @property
    def total(self) -> int:
        """How many there are, listed or not."""
        return self.counts.total()


def shown(value: object) -> str:
    """A value for people: long bytes are cut."""
    if not isinstance(value, bytes):
        return str(value)
    return value.hex() if len(value) <= 64 else f"{value[:32].hex()}… ({len(value)} bytes)"
