"""The transactions that wait for a block, and the policy that bounds them.

Policy, not consensus: another node may keep other rules, and a block that breaks them is
valid all the same. The pool mirrors the confirmed account of every sender it holds, so that
what `ready` yields can be mined as it stands. Only the writer touches it; every change is
reported as a `PoolChange` to be made durable with whatever caused it.
"""

import heapq
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cairn.chain.store import PoolRow
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account, check_spendable
from cairn.consensus.transaction import Transaction

MAX_WAITING_PER_SENDER = 64
MAX_HELD_PER_SENDER = 16
MAX_AGE_SECONDS = 86_400
MAX_AHEAD_SECONDS = 600
REPLACEMENT_PERCENT = 110
BLOCK_OVERHEAD_BYTES = 96 + 29 + 64 + 4
"""Header, the largest coinbase and the transaction count: what a block holds besides."""


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
    def rate(self) -> tuple[int, bytes]:
        """Orders by fee per byte (in 2^-20 units, rounded down), ties by id."""
        return fee_rate(self.transaction.fee, len(self.transaction.raw)), self.transaction.id

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


@dataclass(slots=True)
class _Sender:
    """One account's waiting transactions by sequence, and its confirmed state."""

    account: Account
    entries: dict[int, PoolEntry] = field(default_factory=dict)

    def ready(self) -> Iterator[PoolEntry]:
        """Those without a gap before them, in order."""
        sequence = self.account.next_sequence
        while sequence in self.entries:
            yield self.entries[sequence]
            sequence += 1

    def ready_count(self) -> int:
        return sum(1 for _ in self.ready())

    def cost(self) -> int:
        return sum(entry.transaction.cost for entry in self.entries.values())

    def from_sequence(self, sequence: int) -> list[PoolEntry]:
        """The entries at `sequence` and after."""
        return [entry for at, entry in self.entries.items() if at >= sequence]


class Pool:
    """Waiting transactions, by id and by sender."""

    def __init__(self, policy: PoolPolicy, max_block_bytes: int) -> None:
        self._policy = policy
        self._max_transaction_bytes = max_block_bytes - BLOCK_OVERHEAD_BYTES
        self._entries: dict[bytes, PoolEntry] = {}
        self._senders: dict[bytes, _Sender] = {}
        self._by_rate: list[tuple[int, bytes]] = []
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._entries

    def get(self, transaction_id: bytes) -> Transaction | None:
        """The waiting transaction with this id."""
        entry = self._entries.get(transaction_id)
        return entry.transaction if entry else None

    def ids(self, limit: int) -> list[bytes]:
        """Ids of at most `limit` waiting transactions, oldest first."""
        return [id_ for id_, _ in zip(self._entries, range(limit), strict=False)]

    def oldest_received_at(self, transactions: Iterable[Transaction]) -> int:
        """When the first of these arrived, seconds since the epoch; 0 when none of them waits."""
        waiting = [self._entries[each.id] for each in transactions if each.id in self._entries]
        return min((entry.received_at for entry in waiting), default=0)

    def is_taken(self, transaction: Transaction) -> bool:
        """Whether one of its sender waits at its sequence, be it itself or another."""
        sender = self._senders.get(transaction.sender)
        return sender is not None and transaction.sequence in sender.entries

    # -- admission ---------------------------------------------------------------------------

    def check_form(self, transaction: Transaction, now: int) -> None:
        """The policy that needs no account: cheap, so it comes before the signature.

        Raises RuleError `pool-duplicate`, `pool-transaction-too-large`, `pool-timestamp` or
        `pool-fee-too-low`.
        """
        size = len(transaction.raw)
        if transaction.id in self._entries:
            raise RuleError(Rule.POOL_DUPLICATE, f"{transaction.id.hex()} waits already")
        if size > self._max_transaction_bytes:
            raise RuleError(
                Rule.POOL_TRANSACTION_TOO_LARGE,
                f"transaction is {size} bytes, a block has room for {self._max_transaction_bytes}",
                length=size,
                limit=self._max_transaction_bytes,
            )
        if not now - MAX_AGE_SECONDS <= transaction.timestamp <= now + MAX_AHEAD_SECONDS:
            raise RuleError(
                Rule.POOL_TIMESTAMP,
                f"timestamp {transaction.timestamp} is not within {MAX_AGE_SECONDS} s before"
                f" and {MAX_AHEAD_SECONDS} s after {now}",
                timestamp=transaction.timestamp,
                now=now,
            )
        least = size * self._policy.min_fee_per_byte
        if transaction.fee < least:
            raise RuleError(
                Rule.POOL_FEE_TOO_LOW,
                f"fee {transaction.fee} < {size} bytes x {self._policy.min_fee_per_byte}",
                fee=transaction.fee,
                minimum=least,
            )

    def check_account(self, transaction: Transaction, account: Account) -> None:
        """What the sender's confirmed state alone rules out, whatever else waits: so it comes
        before the signature too.

        Raises RuleError `sequence-mismatch`, `pool-gap-too-wide` or `balance-insufficient`.
        """
        sequence, expected = transaction.sequence, account.next_sequence
        if sequence < expected:
            check_spendable(transaction, account)  # raises sequence-mismatch
        furthest = expected + MAX_WAITING_PER_SENDER + MAX_HELD_PER_SENDER
        if sequence >= furthest:
            raise RuleError(
                Rule.POOL_GAP_TOO_WIDE,
                f"sequence {sequence} is too far ahead of {expected}: at most {furthest - 1}",
                sequence=sequence,
                expected=expected,
                limit=furthest - 1,
            )
        _check_balance(transaction, account, waiting=0)

    def admit(
        self, transaction: Transaction, account: Account, now: int, change: PoolChange
    ) -> None:
        """Takes a transaction whose form and signature are checked, or raises RuleError.

        `account` is the sender's confirmed state. What is added, replaced or evicted is
        noted in `change`; on an error nothing has changed.
        """
        if transaction.id in self._entries:
            raise RuleError(Rule.POOL_DUPLICATE, f"{transaction.id.hex()} waits already")
        sender = self._senders.get(transaction.sender) or _Sender(account)
        replaced = sender.entries.get(transaction.sequence)
        self.check_account(transaction, sender.account)
        if replaced is not None:
            self._check_replacement(transaction, replaced.transaction)
        else:
            self._check_place(transaction, sender)
        self._check_affordable(transaction, sender, replaced)
        entry = PoolEntry(transaction, now)
        victims = self._room_for(entry, replaced)
        for victim in victims:
            self._remove(victim, change)
        if replaced is not None:
            self._remove(replaced, change)
        self._add(entry, account, change)

    def _check_replacement(self, transaction: Transaction, replaced: Transaction) -> None:
        if transaction.fee * 100 < replaced.fee * REPLACEMENT_PERCENT or (
            transaction.fee <= replaced.fee
        ):
            raise RuleError(
                Rule.POOL_REPLACEMENT_FEE_TOO_LOW,
                f"fee {transaction.fee} < {REPLACEMENT_PERCENT} % of the {replaced.fee} that"
                f" {replaced.id.hex()} pays at the same sequence",
                fee=transaction.fee,
                replaced_fee=replaced.fee,
            )

    def _check_place(self, transaction: Transaction, sender: _Sender) -> None:
        sequence, expected = transaction.sequence, sender.account.next_sequence
        ready = sender.ready_count()
        if ready >= MAX_WAITING_PER_SENDER:  # beyond a gap too: what fills it is refused
            raise RuleError(
                Rule.POOL_SENDER_FULL,
                f"{ready} of this sender wait, at most {MAX_WAITING_PER_SENDER}",
                waiting=ready,
                limit=MAX_WAITING_PER_SENDER,
            )
        if sequence <= expected + ready:
            return
        held = len(sender.entries) - ready
        if held >= MAX_HELD_PER_SENDER:
            raise RuleError(
                Rule.POOL_GAP_TOO_WIDE,
                f"sequence {sequence} comes before {expected + ready} has;"
                f" {held} are held for gaps, at most {MAX_HELD_PER_SENDER}",
                sequence=sequence,
                expected=expected + ready,
                held=held,
            )

    def _check_affordable(
        self, transaction: Transaction, sender: _Sender, replaced: PoolEntry | None
    ) -> None:
        waiting = sender.cost() - (replaced.transaction.cost if replaced else 0)
        _check_balance(transaction, sender.account, waiting)

    def _room_for(self, newcomer: PoolEntry, replaced: PoolEntry | None) -> list[PoolEntry]:
        """What must leave so that `newcomer` fits, followers included; `pool-full` if too dear."""
        freed = len(replaced.transaction.raw) if replaced else 0
        excess = self.total_bytes - freed + len(newcomer.transaction.raw) - self._policy.max_bytes
        victims = self._cheapest(excess, newcomer, replaced)
        if victims is None:
            raise RuleError(
                Rule.POOL_FULL,
                f"{self.total_bytes} bytes wait, at most {self._policy.max_bytes};"
                " a higher fee per byte takes the place of a lower one",
                bytes=self.total_bytes,
                limit=self._policy.max_bytes,
            )
        return victims

    def _cheapest(
        self, excess: int, newcomer: PoolEntry, replaced: PoolEntry | None
    ) -> list[PoolEntry] | None:
        """Entries of at least `excess` bytes, lowest fee rate first, each with its followers.

        None when that needs one that pays no less than `newcomer`, or that it follows. What
        followers pay is not weighed: they leave with the one they follow.
        `replaced` leaves anyway: it makes no more room, and its followers will follow `newcomer`.
        """
        victims: dict[bytes, PoolEntry] = {}
        cheapest = self._cheapest_first()
        for entry in cheapest:
            if excess <= 0 or entry.rate[0] >= newcomer.rate[0]:
                break
            if _follows(newcomer.transaction, entry.transaction):
                break  # without its forerunner the newcomer could never be mined
            if entry is not replaced:
                excess -= self._mark_with_followers(entry, victims)
        cheapest.close()
        return None if excess > 0 else list(victims.values())

    def _mark_with_followers(self, entry: PoolEntry, victims: dict[bytes, PoolEntry]) -> int:
        """Adds an entry and its followers to `victims`; how many more bytes these are."""
        marked = 0
        for follower in self._with_followers(entry):
            if follower.transaction.id not in victims:
                victims[follower.transaction.id] = follower
                marked += len(follower.transaction.raw)
        return marked

    def _shrink(self, change: PoolChange) -> None:
        """Evicts what is too much, lowest fee rate first, each with its followers."""
        victims: dict[bytes, PoolEntry] = {}
        excess = self.total_bytes - self._policy.max_bytes
        cheapest = self._cheapest_first()
        while excess > 0:
            excess -= self._mark_with_followers(next(cheapest), victims)
        cheapest.close()
        for victim in victims.values():
            self._remove(victim, change)

    def _cheapest_first(self) -> Generator[PoolEntry, None, None]:
        """Entries by rising fee rate; what it took from the heap it puts back when closed."""
        taken = []
        try:
            while self._by_rate:
                rate = heapq.heappop(self._by_rate)
                entry = self._entries.get(rate[1])
                if entry is not None:
                    taken.append(rate)
                    yield entry
        finally:
            for rate in taken:
                heapq.heappush(self._by_rate, rate)

    def _with_followers(self, entry: PoolEntry) -> list[PoolEntry]:
        sender = self._senders[entry.transaction.sender]
        return sender.from_sequence(entry.transaction.sequence)

    # -- following the chain -----------------------------------------------------------------

    def restore(
        self, rows: Sequence[tuple[Transaction, int]], accounts: Mapping[bytes, Account]
    ) -> PoolChange:
        """Empties the pool and fills it with stored transactions; the change drops the unfit.

        Of two with the same sender and sequence, which a sound database has not, the first stays.
        """
        self._entries.clear()
        self._senders.clear()
        self._by_rate.clear()
        self.total_bytes = 0
        change = PoolChange()
        for transaction, received_at in rows:
            if self.is_taken(transaction):
                change.removed.add(transaction.id)
                continue
            account = accounts.get(transaction.sender, EMPTY_ACCOUNT)
            self._add(PoolEntry(transaction, received_at), account, PoolChange())
        for address in list(self._senders):
            self._drop_unfit(address, change)
        self._shrink(change)
        return change

    def follow(
        self,
        accounts: Mapping[bytes, Account],
        mined: Iterable[Transaction],
        returned: Iterable[Transaction],
        now: int,
    ) -> PoolChange:
        """Adjusts to a chain that moved.

        `accounts` are the new states of all accounts it touched, `mined` the transactions of
        connected blocks, `returned` those of disconnected blocks which no connected one has.
        """
        change = PoolChange()
        for transaction in mined:
            entry = self._entries.get(transaction.id)
            if entry is not None:
                self._remove(entry, change)
        for transaction in returned:
            if not self.is_taken(transaction):
                account = accounts[transaction.sender]
                self._add(PoolEntry(transaction, now), account, change)
        for address in accounts.keys() & self._senders.keys():
            self._senders[address].account = accounts[address]
            self._drop_unfit(address, change)
        self._shrink(change)
        return change

    def expire(self, now: int) -> PoolChange:
        """Drops what arrived longer ago than the policy keeps, with its followers."""
        change = PoolChange()
        oldest_kept = now - self._policy.expiry_seconds
        expired = []
        for entry in self._entries.values():  # oldest first
            if entry.received_at > oldest_kept:
                break
            expired.append(entry)
        for entry in expired:
            if entry.transaction.id in self._entries:  # else gone as another's follower
                for follower in self._with_followers(entry):
                    self._remove(follower, change)
        return change

    def _drop_unfit(self, address: bytes, change: PoolChange) -> None:
        """Drops a sender's used sequences, and all from the first that can't be paid."""
        sender = self._senders[address]
        spendable = sender.account.balance
        for sequence, entry in sorted(sender.entries.items()):
            if sequence < sender.account.next_sequence:
                self._remove(entry, change)
                continue
            spendable -= entry.transaction.cost
            if spendable < 0:
                self._remove(entry, change)

    # -- mining ------------------------------------------------------------------------------

    def select(self, max_bytes: int) -> list[Transaction]:
        """Transactions for a block, at most `max_bytes` together, best fee per byte first.

        Each sender's stand in order of sequence, so the list can be applied as it is.
        """
        chosen: list[Transaction] = []
        queues = {address: sender.ready() for address, sender in self._senders.items()}
        heap: list[tuple[int, bytes, PoolEntry]] = []
        for queue in queues.values():
            self._push_next(heap, queue)
        left = max_bytes
        while heap and left > 0:
            _, _, entry = heapq.heappop(heap)
            transaction = entry.transaction
            if len(transaction.raw) > left:
                continue  # its followers need it first, so they wait as well
            chosen.append(transaction)
            left -= len(transaction.raw)
            self._push_next(heap, queues[transaction.sender])
        return chosen

    def ready_count(self) -> int:
        """How many could be mined now."""
        return sum(sender.ready_count() for sender in self._senders.values())

    @staticmethod
    def _push_next(heap: list[tuple[int, bytes, PoolEntry]], queue: Iterator[PoolEntry]) -> None:
        entry = next(queue, None)
        if entry is not None:
            rate, id_ = entry.rate
            heapq.heappush(heap, (-rate, id_, entry))

    # -- bookkeeping -------------------------------------------------------------------------

    def _add(self, entry: PoolEntry, account: Account, change: PoolChange) -> None:
        transaction = entry.transaction
        sender = self._senders.setdefault(transaction.sender, _Sender(account))
        sender.entries[transaction.sequence] = entry
        self._entries[transaction.id] = entry
        self.total_bytes += len(transaction.raw)
        heapq.heappush(self._by_rate, entry.rate)
        change.added[transaction.id] = entry

    def _remove(self, entry: PoolEntry, change: PoolChange) -> None:
        transaction = entry.transaction
        del self._entries[transaction.id]
        sender = self._senders[transaction.sender]
        del sender.entries[transaction.sequence]
        if not sender.entries:
            del self._senders[transaction.sender]
        self.total_bytes -= len(transaction.raw)
        if len(self._by_rate) > 2 * len(self._entries) + 1_000:  # shed rates of departed ones
            self._by_rate = sorted(kept.rate for kept in self._entries.values())
        if change.added.pop(transaction.id, None) is None:
            change.removed.add(transaction.id)


def _follows(later: Transaction, earlier: Transaction) -> bool:
    """Whether `later` can only be mined after `earlier`."""
    return later.sender == earlier.sender and later.sequence > earlier.sequence


def _check_balance(transaction: Transaction, account: Account, waiting: int) -> None:
    if waiting + transaction.cost > account.balance:
        raise RuleError(
            Rule.BALANCE_INSUFFICIENT,
            f"amount {transaction.amount} + fee {transaction.fee} + {waiting} already waiting"
            f" > balance {account.balance}",
            amount=transaction.amount,
            fee=transaction.fee,
            waiting=waiting,
            balance=account.balance,
        )


def fee_rate(fee: int, size_bytes: int) -> int:
    """How the pool orders: base units per byte times 2^20, rounded down, at most 2^63-1."""
    return min((fee << 20) // size_bytes, 2**63 - 1)
