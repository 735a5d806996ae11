"""The transactions that wait for a block, and the policy that bounds them.

Policy, not consensus: another node may keep other rules, and a block that breaks them is
valid all the same. The pool mirrors the confirmed account of every sender it holds, so that
what `ready` yields can be mined as it stands. Only the writer touches it; every change is
reported as a `PoolChange` to be made durable with whatever caused it.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from cairn.chain import pool_rules
from cairn.chain.pool_entry import PoolChange, PoolEntry, PoolPolicy, fee_rate
from cairn.chain.pool_eviction import EvictionOrder, Package
from cairn.chain.pool_sender import Sender
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account
from cairn.consensus.transaction import Transaction

__all__ = ["BLOCK_OVERHEAD_BYTES", "Pool", "PoolChange", "PoolEntry", "PoolPolicy", "fee_rate"]

BLOCK_OVERHEAD_BYTES = 96 + 29 + 64 + 4
"""Header, the largest coinbase and the transaction count: what a block holds besides."""
HELD_PERCENT = 5
"""Of `max_bytes`, for what is held for gaps; of the count that fits as well, as no transaction
is smaller than the smallest."""


class Pool:
    """Waiting transactions, by id and by sender."""

    def __init__(self, policy: PoolPolicy, max_block_bytes: int) -> None:
        self._policy = policy
        self._max_transaction_bytes = max_block_bytes - BLOCK_OVERHEAD_BYTES
        self._max_held_bytes = policy.max_bytes * HELD_PERCENT // 100
        self._entries: dict[bytes, PoolEntry] = {}
        self._senders: dict[bytes, Sender] = {}
        self._order = EvictionOrder(self._senders)
        self.total_bytes = 0
        self.held_bytes = 0
        """Of `total_bytes`, what waits behind a gap."""

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

    def next_sequence(self, address: bytes, account: Account) -> int:
        """The first sequence of this account, in this confirmed state, that nothing waits at."""
        sender = self._senders.get(address)
        return account.next_sequence if sender is None else sender.first_gap

    # -- admission ---------------------------------------------------------------------------

    def check_form(self, transaction: Transaction, now: int) -> None:
        """The policy that needs no account: cheap, so it comes before the signature.

        Raises RuleError `pool-duplicate`, `pool-transaction-too-large`, `pool-timestamp` or
        `pool-fee-too-low`.
        """
        self._check_new(transaction)
        pool_rules.check_form(transaction, self._policy, self._max_transaction_bytes, now)

    def check_account(self, transaction: Transaction, account: Account) -> None:
        """What the sender's confirmed state alone rules out, whatever else waits: so it comes
        before the signature too.

        Raises RuleError `sequence-mismatch`, `pool-gap-too-wide` or `balance-insufficient`.
        """
        pool_rules.check_reach(transaction, account)

    def admit(
        self, transaction: Transaction, account: Account, now: int, change: PoolChange
    ) -> None:
        """Takes a transaction whose form and signature are checked, or raises RuleError.

        `account` is the sender's confirmed state. What is added, replaced or evicted is
        noted in `change`; on an error nothing has changed.
        """
        self._check_new(transaction)
        sender = self._senders.get(transaction.sender) or Sender(account)
        replaced = sender.entries.get(transaction.sequence)
        pool_rules.check_reach(transaction, sender.account)
        if replaced is not None:
            pool_rules.check_replacement(transaction, replaced.transaction)
        else:
            pool_rules.check_place(transaction, sender)
        waiting = sender.cost - (replaced.transaction.cost if replaced else 0)
        pool_rules.check_balance(transaction, sender.account, waiting)
        if replaced is not None:
            self._take_out(replaced)
        entry = PoolEntry(transaction, now)
        self._put_in(entry, sender.account)
        try:
            victims = self._victims_of(entry, replaced.size if replaced else 0)
        except RuleError:
            self._take_out(entry)
            if replaced is not None:
                self._put_in(replaced, sender.account)
            raise
        for victim in victims:
            self._remove(victim, change)
        if replaced is not None:
            self._forget(replaced, change)
        self._keep(entry, change)

    def _check_new(self, transaction: Transaction) -> None:
        if transaction.id in self._entries:
            raise RuleError(Rule.POOL_DUPLICATE, f"{transaction.id.hex()} waits already")

    def _victims_of(self, newcomer: PoolEntry, freed: int) -> list[PoolEntry]:
        """What must leave for `newcomer`, which stands among its sender's already.

        `freed`: bytes of the one it replaces. Raises RuleError `pool-full` when the newcomer
        itself, or any that pays no less per byte, would have to leave; or one that could be
        mined, for a newcomer that could not.
        """
        excess = self.total_bytes - freed + newcomer.size - self._policy.max_bytes
        victims: list[PoolEntry] = []
        sender = self._senders[newcomer.transaction.sender]
        is_ready = newcomer.transaction.sequence < sender.first_gap
        for package in self._packages_over(excess):
            if newcomer in package.entries or not _yields(package, newcomer, is_ready):
                raise self._full(is_ready)
            victims += package.entries
        return victims

    def _full(self, is_ready: bool) -> RuleError:
        text = f"{self.total_bytes} bytes wait, at most {self._policy.max_bytes};"
        if not is_ready:
            text = f"{text} at most {self._max_held_bytes} of these for a gap;"
        return RuleError(
            Rule.POOL_FULL,
            f"{text} a higher fee per byte takes the place of a lower one",
            bytes=self.total_bytes,
            limit=self._policy.max_bytes,
        )

    def _packages_over(self, excess: int) -> Iterator[Package]:
        """The packages that must leave: `excess` bytes, and those held beyond their share."""
        held_excess = self.held_bytes - self._max_held_bytes
        if excess <= 0 and held_excess <= 0:
            return
        with closing(self._order.packages()) as packages:
            for package in packages:  # the held ones first
                yield package
                excess -= package.size
                held_excess -= package.size
                if excess <= 0 and held_excess <= 0:
                    return

    def _shrink(self, change: PoolChange) -> None:
        """Evicts what is too much."""
        packages = list(self._packages_over(self.total_bytes - self._policy.max_bytes))
        for package in packages:
            for victim in package.entries:
                self._remove(victim, change)

    # -- following the chain -----------------------------------------------------------------

    def restore(
        self, rows: Sequence[tuple[Transaction, int]], accounts: Mapping[bytes, Account]
    ) -> PoolChange:
        """Empties the pool and fills it with stored transactions; the change drops the unfit.

        Of two with the same sender and sequence, which a sound database has not, the first stays.
        """
        self._entries.clear()
        self._senders.clear()
        self._order.clear()
        self.total_bytes = self.held_bytes = 0
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
            self._follow_account(address, accounts[address])
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
                self._remove_with_followers(entry, change)
        return change

    def drop(self, transactions: Iterable[Transaction]) -> PoolChange:
        """Takes these out, with their followers, as far as they wait."""
        change = PoolChange()
        for transaction in transactions:
            entry = self._entries.get(transaction.id)
            if entry is not None:
                self._remove_with_followers(entry, change)
        return change

    def _drop_unfit(self, address: bytes, change: PoolChange) -> None:
        """Drops a sender's used sequences, all from the first that can't be paid, and what is
        held farther ahead than any is taken."""
        sender = self._senders[address]
        spendable = sender.account.balance
        for sequence, entry in sorted(sender.entries.items()):
            if sequence < sender.account.next_sequence:
                self._remove(entry, change)
                continue
            spendable -= entry.transaction.cost
            if spendable < 0 or sequence >= sender.first_gap + pool_rules.MAX_AHEAD:
                self._remove(entry, change)

    # -- mining ------------------------------------------------------------------------------

    def select(self, max_bytes: int) -> list[Transaction]:
        """Transactions for a block, at most `max_bytes` together, best fee per byte first.

        Each sender's stand in order of sequence, so the list can be applied as it is.
        """
        chosen: list[Transaction] = []
        queues = {address: sender.ready_entries() for address, sender in self._senders.items()}
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
        return sum(sender.ready for sender in self._senders.values())

    @staticmethod
    def _push_next(heap: list[tuple[int, bytes, PoolEntry]], queue: Iterator[PoolEntry]) -> None:
        entry = next(queue, None)
        if entry is not None:
            rate, id_ = entry.rate
            heapq.heappush(heap, (-rate, id_, entry))

    # -- bookkeeping -------------------------------------------------------------------------

    def _add(self, entry: PoolEntry, account: Account, change: PoolChange) -> None:
        self._put_in(entry, account)
        self._keep(entry, change)

    def _remove(self, entry: PoolEntry, change: PoolChange) -> None:
        self._take_out(entry)
        self._forget(entry, change)

    def _remove_with_followers(self, entry: PoolEntry, change: PoolChange) -> None:
        sender = self._senders[entry.transaction.sender]
        for follower in sender.from_sequence(entry.transaction.sequence):
            self._remove(follower, change)

    def _put_in(self, entry: PoolEntry, account: Account) -> None:
        """Among its sender's."""
        address = entry.transaction.sender
        sender = self._senders.setdefault(address, Sender(account))
        before = sender.held_bytes
        sender.put(entry)
        self.held_bytes += sender.held_bytes - before
        self._order.note(address)

    def _take_out(self, entry: PoolEntry) -> None:
        """From among its sender's."""
        address = entry.transaction.sender
        sender = self._senders[address]
        before = sender.held_bytes
        sender.take(entry.transaction.sequence)
        if not sender.entries:
            del self._senders[address]
        self.held_bytes += sender.held_bytes - before
        self._order.note(address)

    def _follow_account(self, address: bytes, account: Account) -> None:
        sender = self._senders[address]
        before = sender.held_bytes
        sender.follow(account)
        self.held_bytes += sender.held_bytes - before
        self._order.note(address)

    def _keep(self, entry: PoolEntry, change: PoolChange) -> None:
        self._entries[entry.transaction.id] = entry
        self.total_bytes += entry.size
        change.added[entry.transaction.id] = entry

    def _forget(self, entry: PoolEntry, change: PoolChange) -> None:
        del self._entries[entry.transaction.id]
        self.total_bytes -= entry.size
        if change.added.pop(entry.transaction.id, None) is None:
            change.removed.add(entry.transaction.id)


def _yields(package: Package, newcomer: PoolEntry, is_ready: bool) -> bool:
    """Whether a package leaves for a newcomer that can be mined (`is_ready`) or is held."""
    if is_ready and not package.is_ready:
        return True
    return is_ready == package.is_ready and package.rate < newcomer.rate[0]
